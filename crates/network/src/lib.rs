//! Container networking: networks made of a bridge, the endpoints in them, and published ports.
//!
//! ```text
//!   sandbox (a netns)                 host
//!   ┌────────────┐   veth   ┌──────────────┐   nft table: dnat, masquerade, forward
//!   │ lo   eth0 ─┼──────────┼─ barge0 ─────┼──────────────────────────────── eth0
//!   └────────────┘          └──────────────┘
//! ```
//!
//! Plain synchronous code over netlink; no process is ever spawned and nothing is written to
//! disk: what exists is handed in by the caller ([`Driver::reconcile`] after a restart). It
//! does not know Docker's words; those live in `engine/networks`.

pub mod address;
pub mod bridge;
mod conntrack;
pub mod driver;
mod error;
pub mod firewall;
pub mod hosts;
pub mod ipam;
mod link;
mod network;
pub mod ports;
pub mod resolv;
mod route;
pub mod sandbox;
mod sysctl;

pub use address::MacAddr;
pub use bridge::Bridges;
pub use driver::Driver;
pub use error::{Error, Result};
pub use network::{Endpoint, EndpointSpec, Network, Protocol, PublishedPort};
