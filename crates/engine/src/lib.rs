//! What Docker means: containers, images, networks, volumes, exec, system, events.
//!
//! ```text
//! Engine ── containers   one owner task each; spec, lifecycle, verbs
//!        ├─ execs        extra processes in running containers
//!        ├─ images       names on top of the store and the registry
//!        ├─ networks     what a container joins
//!        ├─ volumes      data that outlives containers
//!        ├─ events       what happened, for whoever asks
//!        └─ system       what the engine knows of itself and its host
//! ```
//!
//! Every noun takes and returns `barge_api` types at the newest API version; older versions are the daemon's views.
//! Errors carry a kind and Docker's wording; the status code is the daemon's. This crate names no namespace, cgroup
//! or system call: those belong to the runtime, which a container's shim calls.

mod clock;
pub mod config;
pub mod containers;
pub mod engine;
pub mod error;
pub mod events;
pub mod exec;
pub mod images;
pub mod networks;
pub mod system;
mod undo;
pub mod volumes;

pub use config::Config;
pub use containers::ClientStream;
pub use engine::Engine;
pub use error::{Error, Kind, Result};
