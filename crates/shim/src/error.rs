//! What can go wrong around a shim, on either side of its socket.

use std::io;
use std::path::PathBuf;

use crate::protocol::Failure;

/// The result of what can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure: the operation and the object it was for.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each variant's message says what it is")]
pub enum Error {
    #[error("read {path:?}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("write {path:?}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("rename {path:?}: {source}")]
    Rename { path: PathBuf, source: io::Error },
    #[error("decode {path:?}: {source}")]
    Decode { path: PathBuf, source: serde_json::Error },
    #[error("{path:?} has version {found}, which this program does not know")]
    Version { path: PathBuf, found: u32 },
    #[error("encode: {source}")]
    Encode { source: serde_json::Error },
    #[error("malformed packet: {source}")]
    Packet { source: serde_json::Error },
    #[error("a packet brought {found} descriptors where {wanted} belong to it")]
    PacketFds { found: usize, wanted: usize },

    #[error("spawn the shim {exe:?}: {source}")]
    Spawn { exe: PathBuf, source: io::Error },
    #[error("connect to the shim at {path:?}: {source}")]
    Connect { path: PathBuf, source: io::Error },
    #[error("talk to the shim: {source}")]
    Channel { source: io::Error },
    #[error("the shim is gone")]
    Gone,
    /// The shim understood and refused, or failed.
    #[error("{}", .0.message)]
    Refused(Failure),

    #[error("watch {what}: {source}")]
    Watch { what: &'static str, source: io::Error },
    #[error("make the container's {what}: {source}")]
    Stream { what: &'static str, source: io::Error },
    #[error(transparent)]
    Runtime(#[from] barge_runtime::Error),
    #[error("usage: barge-shim BUNDLE")]
    Usage,
}
