//! Docker's words on the wire: the types of the Engine API, stream framing, filters and versions. No I/O.
//!
//! One file per noun, the same nouns as on every other floor. Field names, nulls and omissions follow what dockerd
//! writes; readers accept `null` for every field, because Go clients send it. A field that only some API versions
//! carry is an `Option` or left out when empty: which version gets what is decided by the server's views.
//!
//! Times are RFC 3339 strings with nanoseconds unless said otherwise, durations are nanoseconds, sizes bytes.

pub mod containers;
pub mod descriptor;
pub mod distribution;
pub mod error;
pub mod events;
pub mod exec;
pub mod filters;
pub mod framing;
pub mod images;
pub mod networks;
pub mod progress;
pub mod system;
pub mod time;
pub mod versions;
pub mod volumes;
mod wire;

pub use error::{Error, ErrorResponse};
pub use filters::Filters;
pub use versions::ApiVersion;
pub use wire::Empty;

/// `Content-Type` of a hijacked or streamed connection that carries a terminal's bytes as they are.
pub const RAW_STREAM: &str = "application/vnd.docker.raw-stream";

/// `Content-Type` of a stream of [`framing`] frames.
pub const MULTIPLEXED_STREAM: &str = "application/vnd.docker.multiplexed-stream";
