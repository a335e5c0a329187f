//! The client side of the distribution protocol: how images come from registries and go to them.
//!
//! ```text
//! Client ── pull ─────┐                      ┌─ endpoint   which hosts serve a domain: mirrors, then upstream
//!        ├─ push ─────┤                      ├─ transport  one HTTP client per host: TLS, proxy, DNS
//!        ├─ login ────┼── session ───────────┤
//!        └─ inspect ──┘   one repository     ├─ challenge  what `WWW-Authenticate` asks for
//!                         on one endpoint    └─ token      bearer tokens, cached until they expire
//! ```
//!
//! Every byte a registry sends is hostile: manifests are bounded, blobs are checked against size and digest while
//! they stream to disk, credentials go to the host they were given for and to no other. Content lands in
//! [`barge_store`]; nothing here knows Docker's API. The texts of errors are those of Docker's registry client,
//! because people and scripts match on them.

mod challenge;
mod client;
mod config;
mod credentials;
mod dns;
mod endpoint;
mod error;
mod fetch;
mod inspect;
mod login;
mod manifest;
mod progress;
mod pull;
mod push;
mod retry;
mod session;
mod tags;
mod tls;
mod token;
mod transport;

pub use client::Client;
pub use config::Config;
pub use credentials::Credentials;
pub use error::{Error, Kind, Result};
pub use fetch::Download;
pub use inspect::Inspected;
pub use login::LoggedIn;
pub use progress::{Event, Phase, Progress};
pub use pull::{Pulled, Status};
pub use push::Pushed;
