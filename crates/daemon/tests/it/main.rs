//! The daemon as a process: its own socket and roots for each test, raw HTTP in and out.
//!
//! No container runs here: what needs a shim is tested end to end. The daemons have no default bridge, so that nothing
//! of the host's network is touched.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a failed step fails its test, which tells what it saw"
)]

mod daemon;
mod events;
mod handshake;
mod life;
mod refusals;
mod volumes;
