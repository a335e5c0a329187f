//! One line of a `json-file` log, read back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::Stream;

/// One log entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Which stream it was written to.
    pub stream: Stream,
    /// When it was read from the container.
    pub time: Timestamp,
    /// The line with its newline; a part of a long line, or a last line without one, has none.
    pub line: Vec<u8>,
    /// The log's extra attributes.
    pub attrs: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    stream: Stream,
    #[serde(default)]
    attrs: BTreeMap<String, String>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

/// Reads a line without its newline; `None` for one that a crash or a foreign hand has spoilt.
pub(super) fn parse(line: &[u8]) -> Option<Entry> {
    let document: Document<'_> = serde_json::from_slice(line).ok()?;
    let time = document.time.parse().ok()?;
    let line = document.log.into_owned().into_bytes();
    Some(Entry { stream: document.stream, time, line, attrs: document.attrs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_spoilt_lines_are_none() {
        let entry = parse(
            br#"{"log":"a\u003c\n","stream":"stderr","attrs":{"k":"v"},"time":"2026-11-20T22:55:01.5Z"}"#,
        )
        .unwrap();
        assert_eq!((entry.stream, entry.line.as_slice()), (Stream::Stderr, &b"a<\n"[..]));
        assert_eq!(entry.time.to_string(), "2026-11-20T22:55:01.5Z");
        assert_eq!(entry.attrs["k"], "v");
        for spoilt in [&b""[..], b"\0\0\0", br#"{"log":"torn"#, br#"{"log":"x","stream":"stdout"}"#, b"null"]
        {
            assert_eq!(parse(spoilt), None);
        }
    }
}
