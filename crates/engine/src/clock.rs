//! Times as the Engine API writes them: RFC 3339 in UTC with nanoseconds.

use jiff::Timestamp;

/// How Go prints the zero time: what has not happened yet.
pub(crate) const NEVER: &str = "0001-01-01T00:00:00Z";

/// The present moment.
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// `2026-01-02T03:04:05.678901234Z`, the trailing zeros of the fraction left out as Go does.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    time.to_string()
}

/// An optional time, [`NEVER`] where there is none.
pub(crate) fn rfc3339_or_never(time: Option<Timestamp>) -> String {
    time.map_or_else(|| NEVER.to_owned(), rfc3339)
}
