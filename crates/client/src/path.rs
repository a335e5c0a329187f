//! Paths and queries of requests.

use std::fmt::Write;

/// Escapes what may not stand in a path. Slashes stay: image names have them and the API's routes expect them.
pub(crate) fn segment(text: &str) -> String {
    escape(text, |byte| {
        matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/' | b':' | b'@' | b'+' | b'$' | b'&' | b'=')
    })
}

/// Joins pairs to a query, with the question mark; empty without pairs.
pub(crate) fn query(pairs: &[(&'static str, String)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        text.push(if text.is_empty() { '?' } else { '&' });
        let value = escape(value, |byte| matches!(byte, b'-' | b'.' | b'_' | b'~'));
        let _ = write!(text, "{name}={value}");
    }
    text
}

fn escape(text: &str, plain: impl Fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain(byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_slashes_and_hide_the_rest() {
        assert_eq!(segment("library/busybox:1.36@sha256:ab"), "library/busybox:1.36@sha256:ab");
        assert_eq!(segment("a b?c#d%e/../é"), "a%20b%3Fc%23d%25e/../%C3%A9");
    }

    #[test]
    fn queries_are_escaped() {
        assert_eq!(query(&[]), "");
        let pairs = [("filters", r#"{"a":["b"]}"#.to_owned()), ("all", "1".to_owned())];
        assert_eq!(query(&pairs), "?filters=%7B%22a%22%3A%5B%22b%22%5D%7D&all=1");
    }
}
