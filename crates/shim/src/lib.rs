//! One small process per container: supervision, standard streams, logs.
//!
//! ```text
//! daemon ── client.rs ── protocol.rs ──> supervise.rs ──> the container's processes
//!                    (packets + fds)        │    ▲
//!   attached client's own socket ─────────> io.rs ─── logs.rs ──> <id>-json.log
//! ```
//!
//! The shim outlives the daemon: it holds the container's pipes or terminal, writes its log, reaps it
//! and leaves `exit.json` behind, whether a daemon listens or not. A daemon that comes back connects to
//! `shim.sock` in the bundle. Clients' sockets are handed to the shim whole, so no byte of a container's
//! output passes through the daemon.
//!
//! The shim process is single-threaded and has no async runtime; only [`client`], the daemon's side, is
//! asynchronous. It knows the OCI runtime but not Docker's API: what a restart policy, a detach sequence's
//! text or a log query's flags mean is the engine's business.

pub mod client;
mod config;
mod error;
mod framing;
mod io;
pub mod logs;
mod poller;
pub mod protocol;
mod record;
mod supervise;

pub use barge_runtime::Root;
pub use client::{Events, Shim};
pub use config::{Config, JsonFileConfig, LogConfig, Stdin};
pub use error::{Error, Result};
pub use protocol::{Attach, Event, Exec, ExitRecord, Failure, Framing, Kind, Started, State, Stats, Status};
pub use supervise::main;
