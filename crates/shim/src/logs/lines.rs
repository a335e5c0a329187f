//! Output cut into log lines as Docker cuts it.
//!
//! A line of 16 KiB or more is logged in parts of 16 KiB; all parts carry the first one's time, and only the
//! last one ends in a newline. What follows the last newline waits for the rest of its line.

use jiff::Timestamp;

/// The longest part of a line in one log entry, in bytes: the size of the Docker daemon's copy buffer.
pub(super) const MAX_PART: usize = 16 * 1024;

/// One stream's unfinished line.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// Bytes of the current line that are not logged yet; fewer than [`MAX_PART`].
    carry: Vec<u8>,
    /// The time of the current line's first logged part.
    begun: Option<Timestamp>,
}

/// A line, or a part of one, ready to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Its bytes without the newline.
    pub(super) bytes: &'a [u8],
    /// Whether a newline ended it.
    pub(super) complete: bool,
    /// When it was read.
    pub(super) time: Timestamp,
}

impl Lines {
    /// Cuts a piece of output that was read at `now` and hands on each line that is due.
    pub(super) fn feed<E>(
        &mut self,
        mut bytes: &[u8],
        now: Timestamp,
        mut log: impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while !bytes.is_empty() {
            let room = MAX_PART - self.carry.len();
            let window = &bytes[..bytes.len().min(room)];
            let Some(end) = window.iter().position(|&byte| byte == b'\n') else {
                bytes = &bytes[window.len()..];
                self.keep(window, now, &mut log)?;
                continue;
            };
            let time = self.begun.take().unwrap_or(now);
            let (line, rest) = (&window[..end], &bytes[end + 1..]);
            bytes = rest;
            if self.carry.is_empty() {
                log(Line { bytes: line, complete: true, time })?;
            } else {
                self.carry.extend_from_slice(line);
                let whole = std::mem::take(&mut self.carry);
                log(Line { bytes: &whole, complete: true, time })?;
            }
        }
        Ok(())
    }

    /// The stream has ended: hands on the line that has no newline.
    pub(super) fn finish<E>(
        &mut self,
        now: Timestamp,
        log: impl FnOnce(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let rest = std::mem::take(&mut self.carry);
        let time = self.begun.take().unwrap_or(now);
        if rest.is_empty() { Ok(()) } else { log(Line { bytes: &rest, complete: false, time }) }
    }

    /// Keeps bytes without a newline; a part that has become full is handed on.
    fn keep<E>(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
        log: &mut impl FnMut(Line<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.carry.extend_from_slice(bytes);
        if self.carry.len() < MAX_PART {
            return Ok(());
        }
        let part = std::mem::take(&mut self.carry);
        let time = *self.begun.get_or_insert(now);
        log(Line { bytes: &part, complete: false, time })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    /// Bytes of a line and whether a newline ended it.
    type Cut = (Vec<u8>, bool);

    fn cut(pieces: &[&[u8]]) -> Vec<Cut> {
        let mut lines = Lines::default();
        let mut logged = Vec::new();
        let mut log = |line: Line<'_>| -> Result<(), Infallible> {
            logged.push((line.bytes.to_vec(), line.complete));
            Ok(())
        };
        for piece in pieces {
            lines.feed(piece, Timestamp::UNIX_EPOCH, &mut log).unwrap();
        }
        lines.finish(Timestamp::UNIX_EPOCH, log).unwrap();
        logged
    }

    #[test]
    fn lines_are_cut_where_docker_cuts_them() {
        let long = |n: usize| vec![b'x'; n];
        let line = |n: usize| [long(n), b"\n".to_vec()].concat();
        let cases: Vec<(Vec<Vec<u8>>, Vec<Cut>)> = vec![
            (vec![b"a\nb\n".to_vec()], vec![(b"a".to_vec(), true), (b"b".to_vec(), true)]),
            (vec![b"\n\n".to_vec()], vec![(vec![], true), (vec![], true)]),
            (vec![b"no end".to_vec()], vec![(b"no end".to_vec(), false)]),
            (
                vec![b"he".to_vec(), b"llo\nx".to_vec()],
                vec![(b"hello".to_vec(), true), (b"x".to_vec(), false)],
            ),
            (vec![line(MAX_PART - 1)], vec![(long(MAX_PART - 1), true)]),
            (vec![line(MAX_PART)], vec![(long(MAX_PART), false), (vec![], true)]),
            (
                vec![line(2 * MAX_PART + 3)],
                vec![(long(MAX_PART), false), (long(MAX_PART), false), (long(3), true)],
            ),
            (vec![long(MAX_PART)], vec![(long(MAX_PART), false)]),
        ];
        for (pieces, wanted) in cases {
            let pieces: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            assert_eq!(cut(&pieces), wanted);
        }
    }

    #[test]
    fn the_parts_of_a_line_share_the_first_ones_time() {
        let mut lines = Lines::default();
        let mut times = Vec::new();
        for second in 1..=3 {
            let now = Timestamp::from_second(second).unwrap();
            let piece: &[u8] = if second < 3 { &[b'x'; MAX_PART] } else { b"end\nnext\n" };
            lines
                .feed(piece, now, |line| -> Result<(), Infallible> {
                    times.push(line.time.as_second());
                    Ok(())
                })
                .unwrap();
        }
        assert_eq!(times, [1, 1, 1, 3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn where_the_output_was_cut_does_not_show(
            pieces in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![1 => Just(b'\n'), 300 => any::<u8>()], 0..9000), 0..8)
        ) {
            let refs: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let whole = pieces.concat();
            prop_assert_eq!(cut(&refs), cut(&[&whole]));
        }
    }
}
