//! The Engine API server: configuration, sockets, HTTP, routes, views.
//!
//! ```text
//! run      config ─> locks ─> log ─> engine ─> sockets ─> signals
//! serve    socket ─> connection ─> api (version, headers) ─> routes/NOUN ─> engine
//!                                                         └─ views/NOUN (shapes by API version)
//! hijack   attach, exec: the raw socket goes to the container's shim
//! failure  the one table from the engine's error kinds to status codes
//! ```
//!
//! The only crate that serves the Engine API. It decides nothing about containers: a handler decodes, calls the engine
//! once and encodes. It is never in the path of a container's output once an attach has been handed over.

mod activity;
mod api;
mod blocking;
mod config;
mod connection;
mod error;
mod extract;
mod failure;
mod hijack;
mod listen;
mod lock;
mod log;
mod notify;
mod respond;
mod routes;
mod run;
mod serve;
mod tls;
mod views;

use std::ffi::OsString;
use std::process::ExitCode;

/// Runs the daemon until a signal ends it. `args` are the words after the program's name, or after `barge daemon`.
///
/// The exit code is 0 after SIGTERM, SIGINT or an idle exit, 1 if the daemon could not run, 125 for a command line it
/// does not understand.
pub fn main(args: Vec<OsString>) -> ExitCode {
    run::main(args)
}
