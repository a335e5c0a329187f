//! Typed asynchronous client of the Engine API, for Barge's daemon and Docker's alike.
//!
//! ```text
//! Client ─ containers() images() networks() volumes() exec() system()     one file per noun
//!   └ request.rs    version prefix, retry with an older version, reuse of one idle connection
//!       └ transport.rs    unix, tcp, tls, ssh
//! answers: Response (JSON, text, bytes), Lines (JSON lines), Output (framed streams), Hijacked (both ways)
//! ```
//!
//! There is no connection pool and no background work but one task per open connection; everything runs on a
//! current-thread runtime. Configuration files and environment variables are the caller's business.

#![deny(missing_docs)]

mod auth;
mod client;
mod containers;
mod endpoint;
mod error;
mod exec;
mod hijack;
mod images;
mod lines;
mod networks;
mod output;
mod path;
mod request;
mod response;
mod system;
mod transport;
mod volumes;

pub use auth::{RegistryAuth, encode_auth};
pub use client::Client;
pub use containers::{
    AttachOptions, CommitOptions, Containers, ListOptions, LogsOptions, RemoveOptions, StopOptions, Waiting,
};
pub use endpoint::{Endpoint, TlsFiles, Verify};
pub use error::{Error, Result};
pub use exec::Exec;
pub use hijack::{Hijacked, Input};
pub use images::{Images, ImportOptions};
pub use lines::Lines;
pub use networks::Networks;
pub use output::Output;
pub use request::{Body, Request, body_from_reader};
pub use response::Response;
pub use system::{EventOptions, Ping, System};
pub use volumes::Volumes;
