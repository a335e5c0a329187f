//! The keys that part a client from a container, found in what it types.

/// Looks for a sequence in a stream of bytes and holds back what may be its beginning.
#[derive(Debug, Default)]
pub(super) struct DetachKeys {
    /// Never matched when empty.
    keys: Vec<u8>,
    /// How many of them the last bytes were.
    matched: usize,
}

impl DetachKeys {
    pub(super) fn new(keys: Vec<u8>) -> Self {
        Self { keys, matched: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Appends to `passed` what is to go on to the process. True when the sequence is complete.
    pub(super) fn filter(&mut self, typed: &[u8], passed: &mut Vec<u8>) -> bool {
        typed.iter().any(|&byte| self.step(byte, passed))
    }

    /// What was held back, when no more bytes come.
    pub(super) fn take_held(&mut self) -> &[u8] {
        &self.keys[..std::mem::take(&mut self.matched)]
    }

    fn step(&mut self, byte: u8, passed: &mut Vec<u8>) -> bool {
        while self.matched > 0 && self.keys[self.matched] != byte {
            let shorter = self.border();
            passed.extend_from_slice(&self.keys[..self.matched - shorter]);
            self.matched = shorter;
        }
        if !self.keys.is_empty() && self.keys[self.matched] == byte {
            self.matched += 1;
        } else {
            passed.push(byte);
        }
        let complete = self.matched > 0 && self.matched == self.keys.len();
        if complete {
            self.matched = 0;
        }
        complete
    }

    /// The longest beginning of the sequence that what was matched ends in, shorter than itself.
    fn border(&self) -> usize {
        let held = &self.keys[..self.matched];
        (0..held.len()).rev().find(|&length| held.ends_with(&self.keys[..length])).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys, what is typed in pieces, what goes on to the process, whether it detaches.
    type Case<'a> = (&'a [u8], &'a [&'a [u8]], &'a [u8], bool);

    #[test]
    fn the_sequence_is_found_wherever_it_is_cut_and_nothing_else_is_lost() {
        let cases: &[Case<'_>] = &[
            (b"", &[b"\x10\x11"], b"\x10\x11", false),
            (b"\x10\x11", &[b"ls\n"], b"ls\n", false),
            (b"\x10\x11", &[b"ls\x10\x11rest"], b"ls", true),
            (b"\x10\x11", &[b"a\x10", b"\x11"], b"a", true),
            (b"\x10\x11", &[b"\x10", b"b"], b"\x10b", false),
            (b"\x10\x11", &[b"\x10\x10\x11"], b"\x10", true),
            (b"aab", &[b"aaab"], b"a", true),
            (b"abac", &[b"ababac"], b"ab", true),
            (b"x", &[b"yx"], b"y", true),
        ];
        for (keys, typed, wanted, detaches) in cases {
            let mut detach = DetachKeys::new(keys.to_vec());
            let mut passed = Vec::new();
            let detached = typed.iter().any(|piece| detach.filter(piece, &mut passed));
            assert_eq!((passed.as_slice(), detached), (*wanted, *detaches), "{typed:?}");
        }
    }

    #[test]
    fn a_begun_sequence_is_given_back_at_the_end() {
        let mut detach = DetachKeys::new(vec![16, 17]);
        let mut passed = Vec::new();
        assert!(!detach.filter(b"a\x10", &mut passed));
        assert_eq!((passed.as_slice(), detach.take_held()), (&b"a"[..], &b"\x10"[..]));
        assert!(detach.take_held().is_empty());
    }
}
