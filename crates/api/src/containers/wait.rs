//! `POST /containers/{id}/wait`.

use std::str::FromStr;

use crate::wire::{is_default, wire};

/// What a wait waits for: the `condition` parameter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WaitCondition {
    /// Returns at once if it does not run now.
    #[default]
    NotRunning,
    NextExit,
    Removed,
}

impl WaitCondition {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRunning => "not-running",
            Self::NextExit => "next-exit",
            Self::Removed => "removed",
        }
    }
}

impl FromStr for WaitCondition {
    type Err = crate::Error;

    /// Reads the parameter; the empty text is the default.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" | "not-running" => Ok(Self::NotRunning),
            "next-exit" => Ok(Self::NextExit),
            "removed" => Ok(Self::Removed),
            other => Err(crate::Error::FilterValue { key: "condition".to_owned(), value: other.to_owned() }),
        }
    }
}

wire! {
    /// How a container ended.
    pub struct WaitResponse {
        #[serde(skip_serializing_if = "is_default")]
        pub error: Option<WaitError>,
        pub status_code: i64,
    }

    /// Why waiting failed.
    pub struct WaitError {
        #[serde(skip_serializing_if = "is_default")]
        pub message: String,
    }
}
