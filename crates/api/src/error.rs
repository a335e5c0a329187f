//! The error body every failed request carries, and this crate's own parse errors.

use crate::wire::wire;

wire! { "lowercase";
    /// Body of every response with a status of 400 or above. Clients match on the text.
    pub struct ErrorResponse {
        pub message: String,
    }
}

/// What a text of the API can be refused for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Error {
    /// Not `MAJOR.MINOR`.
    #[error("invalid API version: {text:?}")]
    ApiVersion { text: String },
    /// A `filters` parameter that is neither of the two JSON forms.
    #[error("invalid filter: {reason}")]
    Filters { reason: String },
    /// A filter key that this list does not know.
    #[error("invalid filter '{key}'")]
    FilterKey { key: String },
    /// A filter whose value the key does not take.
    #[error("invalid filter '{key}={value}'")]
    FilterValue { key: String, value: String },
    /// A stream frame with an impossible header.
    #[error("unrecognized stream: {kind}")]
    FrameKind { kind: u8 },
    /// A timestamp that is no time, date or duration.
    #[error("invalid timestamp: {text:?}")]
    Timestamp { text: String },
    /// Not `PORT[-PORT][/PROTO]`.
    #[error("invalid port: {text:?}")]
    Port { text: String },
}
