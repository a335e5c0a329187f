//! The keys that part a client from a container: `ctrl-p,ctrl-q` unless the client names others.

use crate::error::{Error, Result};

const DEFAULT: [u8; 2] = [16, 17];

/// Reads `a,ctrl-b,…` into the bytes a terminal sends for them; nothing, or an empty text, is Docker's default.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn parse(text: Option<&str>) -> Result<Vec<u8>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(DEFAULT.to_vec()) };
    let refuse = || Error::invalid(format!("Invalid detach keys ({text}) provided"));
    text.split(',').map(|key| byte_of(key).ok_or_else(refuse)).collect()
}

fn byte_of(key: &str) -> Option<u8> {
    if let [byte] = key.as_bytes() {
        return Some(*byte);
    }
    match key.strip_prefix("ctrl-")?.as_bytes() {
        [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
        [b'@'] => Some(0),
        [b'['] => Some(27),
        [b'\\'] => Some(28),
        [b']'] => Some(29),
        [b'^'] => Some(30),
        [b'_'] => Some(31),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys() {
        let cases: [(Option<&str>, Option<&[u8]>); 7] = [
            (None, Some(&[16, 17])),
            (Some(""), Some(&[16, 17])),
            (Some("a"), Some(b"a")),
            (Some("ctrl-a,x,ctrl-]"), Some(&[1, b'x', 29])),
            (Some("ctrl-@"), Some(&[0])),
            (Some("ctrl-A"), None),
            (Some("a,,b"), None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).ok().as_deref(), expected, "{text:?}");
        }
    }
}
