//! A container's log: written by its shim, read by the daemon through the same module.
//!
//! ```text
//! output ──> lines.rs ──> json_file.rs ──> <id>-json.log ──> read.rs ──> Entry
//!            (16 KiB)      escape.rs         .1  .2.gz        parse.rs
//!                          rotate.rs
//! ```
//!
//! How entries look to a user (timestamps, details, colours) is not decided here.

mod escape;
pub mod json_file;
mod lines;
mod parse;
mod read;
mod rotate;
pub(crate) use rotate::{COMPRESS, compress};
mod tail;
mod timestamp;

use std::io;

pub use crate::framing::Stream;
pub use parse::Entry;
pub use read::{Query, Reader, drain};

/// The write side of a log. One per container, in its shim.
pub trait Driver {
    /// Takes a piece of output as it was read: any length, cut anywhere.
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()>;

    /// The output has ended: writes what waited for the end of its line.
    fn close(&mut self) -> io::Result<()>;
}
