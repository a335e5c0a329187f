//! The JSON lines that pull, push, load, import and build stream.

use crate::wire::{is_default, wire};

wire! { "camelCase";
    /// One line of a progress stream.
    pub struct JsonMessage {
        /// Text of a build's output.
        #[serde(skip_serializing_if = "is_default")]
        pub stream: String,
        #[serde(skip_serializing_if = "is_default")]
        pub status: String,
        /// A ready-made bar for clients too old to draw `progressDetail`.
        #[serde(skip_serializing_if = "is_default")]
        pub progress: String,
        #[serde(skip_serializing_if = "is_default")]
        pub progress_detail: Option<ProgressDetail>,
        /// What the line is about, for example a layer's short ID.
        #[serde(skip_serializing_if = "is_default")]
        pub id: String,
        #[serde(skip_serializing_if = "is_default")]
        pub error_detail: Option<ErrorDetail>,
        /// The text of `error_detail` again.
        #[serde(skip_serializing_if = "is_default")]
        pub error: String,
        /// For programs: `{"ID": …}` of a build, `{"Tag", "Digest", "Size"}` of a push.
        #[serde(skip_serializing_if = "is_default")]
        pub aux: Option<serde_json::Value>,
    }

    /// How far something got.
    pub struct ProgressDetail {
        #[serde(skip_serializing_if = "is_default")]
        pub current: i64,
        /// 0 where the end is not known.
        #[serde(skip_serializing_if = "is_default")]
        pub total: i64,
        /// Unix seconds.
        #[serde(skip_serializing_if = "is_default")]
        pub start: i64,
        #[serde(rename = "hidecounts", skip_serializing_if = "is_default")]
        pub hide_counts: bool,
        /// Empty is bytes.
        #[serde(skip_serializing_if = "is_default")]
        pub units: String,
    }

    /// Why the whole operation failed.
    pub struct ErrorDetail {
        #[serde(skip_serializing_if = "is_default")]
        pub code: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub message: String,
    }
}

impl JsonMessage {
    /// A line that only says what is happening, about `id` if that is not empty.
    pub fn status(id: impl Into<String>, status: impl Into<String>) -> Self {
        Self { id: id.into(), status: status.into(), ..Self::default() }
    }

    /// The line a failed stream ends with.
    pub fn failure(message: impl Into<String>) -> Self {
        let message = message.into();
        let detail = ErrorDetail { code: 0, message: message.clone() };
        Self { error_detail: Some(detail), error: message, ..Self::default() }
    }
}
