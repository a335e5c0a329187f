//! The keys that leave a container running: `ctrl-p,ctrl-q`, or what the user prefers.

/// ctrl-p, ctrl-q.
const DEFAULT: [u8; 2] = [16, 17];

/// Reads a key sequence: letters, digits and `ctrl-X`, parted by commas.
fn parse(text: &str) -> Option<Vec<u8>> {
    text.split(',')
        .map(|key| match key.as_bytes() {
            [byte] => Some(*byte),
            _ => match key.strip_prefix("ctrl-")?.as_bytes() {
                [letter @ b'a'..=b'z'] => Some(letter - b'a' + 1),
                b"@" => Some(0),
                b"[" => Some(27),
                b"\\" => Some(28),
                b"]" => Some(29),
                b"^" => Some(30),
                b"_" => Some(31),
                _ => None,
            },
        })
        .collect()
}

/// Looks for the sequence in what is typed.
#[derive(Debug)]
pub(crate) struct Matcher {
    keys: Vec<u8>,
    matched: usize,
}

/// What to do with typed bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Forward(Vec<u8>),
    /// Forward these and leave.
    Detach(Vec<u8>),
}

impl Matcher {
    /// A matcher for `text`; Docker's default for an empty or unreadable one.
    pub(crate) fn new(text: &str) -> Self {
        let keys = if text.is_empty() { None } else { parse(text) };
        Self { keys: keys.unwrap_or_else(|| DEFAULT.to_vec()), matched: 0 }
    }

    /// Takes typed bytes; a begun sequence is held back until it is broken off.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Step {
        let mut out = Vec::with_capacity(bytes.len());
        for byte in bytes {
            if self.matched > 0 && *byte != self.keys[self.matched] {
                out.extend_from_slice(&self.keys[..self.matched]);
                self.matched = 0;
            }
            if *byte == self.keys[self.matched] {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return Step::Detach(out);
                }
            } else {
                out.push(*byte);
            }
        }
        Step::Forward(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences() {
        assert_eq!(parse("ctrl-p,ctrl-q"), Some(vec![16, 17]));
        assert_eq!(parse("a,ctrl-@,ctrl-["), Some(vec![97, 0, 27]));
        for text in ["", "ctrl-", "ctrl-A", "ab", "ctrl-p,"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_broken_sequence_is_forwarded_whole() {
        let mut matcher = Matcher::new("ctrl-p,ctrl-q");
        assert_eq!(matcher.feed(b"ab\x10"), Step::Forward(b"ab".to_vec()));
        assert_eq!(matcher.feed(b"c"), Step::Forward(b"\x10c".to_vec()));
        assert_eq!(matcher.feed(b"\x10\x10"), Step::Forward(b"\x10".to_vec()));
        assert_eq!(matcher.feed(b"\x11tail"), Step::Detach(Vec::new()));
    }

    #[test]
    fn a_single_key_detaches_too() {
        assert_eq!(Matcher::new("q").feed(b"abqc"), Step::Detach(b"ab".to_vec()));
        assert_eq!(Matcher::new("nonsense-keys").feed(&[16, 17]), Step::Detach(Vec::new()));
    }
}
