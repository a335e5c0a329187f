//! The stream of a container without a terminal: stdout and stderr cut into frames on one connection.
//!
//! ```text
//! | kind: 1 byte | 0 0 0 | length: 4 bytes, big endian | payload |
//! ```
//!
//! Docker calls this stdcopy. Nothing here reads or writes; callers bring the bytes.

use crate::error::Error;

/// Bytes of a frame's header.
pub const HEADER_LEN: usize = 8;

/// Which stream a frame belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamKind {
    /// Echoed input; nobody sends it, clients treat it as output.
    Stdin = 0,
    Stdout = 1,
    Stderr = 2,
    /// An error of the engine itself: it ends the stream.
    SystemError = 3,
}

impl TryFrom<u8> for StreamKind {
    type Error = Error;

    fn try_from(kind: u8) -> Result<Self, Error> {
        match kind {
            0 => Ok(Self::Stdin),
            1 => Ok(Self::Stdout),
            2 => Ok(Self::Stderr),
            3 => Ok(Self::SystemError),
            kind => Err(Error::FrameKind { kind }),
        }
    }
}

/// The header of a frame with `length` bytes of payload.
pub fn header(kind: StreamKind, length: u32) -> [u8; HEADER_LEN] {
    let [a, b, c, d] = length.to_be_bytes();
    [kind as u8, 0, 0, 0, a, b, c, d]
}

/// Appends one frame to `out`. A payload above 4 GiB is split.
pub fn encode(kind: StreamKind, payload: &[u8], out: &mut Vec<u8>) {
    for part in payload.chunks(u32::MAX as usize) {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&header(kind, length));
        out.extend_from_slice(part);
    }
}

/// Finds the frames in bytes that arrive in pieces of any size.
///
/// It holds at most a header: payload is passed on as it comes, a long frame in several parts.
#[derive(Debug, Default)]
pub struct Decoder {
    header: [u8; HEADER_LEN],
    filled: usize,
    /// Of the frame under way: its stream and the payload bytes still to come.
    frame: Option<(StreamKind, usize)>,
}

impl Decoder {
    /// Takes the next part from the front of `input`, which then starts behind it.
    ///
    /// `None` means that all of `input` was used up and more is needed.
    ///
    /// # Errors
    /// [`Error::FrameKind`] if the bytes are no frame stream; the decoder is of no use afterwards.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<(StreamKind, &'a [u8])>, Error> {
        loop {
            if let Some((kind, left)) = self.frame {
                if input.is_empty() {
                    return Ok(None);
                }
                let (part, rest) = input.split_at(left.min(input.len()));
                *input = rest;
                self.frame = (left > part.len()).then_some((kind, left - part.len()));
                return Ok(Some((kind, part)));
            }
            let wanted = (HEADER_LEN - self.filled).min(input.len());
            let (part, rest) = input.split_at(wanted);
            self.header[self.filled..self.filled + wanted].copy_from_slice(part);
            self.filled += wanted;
            *input = rest;
            if self.filled < HEADER_LEN {
                return Ok(None);
            }
            self.filled = 0;
            let [kind, _, _, _, length @ ..] = self.header;
            let kind = StreamKind::try_from(kind)?;
            let length = u32::from_be_bytes(length) as usize;
            self.frame = (length > 0).then_some((kind, length));
        }
    }

    /// Whether the stream may end here, between two frames.
    pub fn is_at_boundary(&self) -> bool {
        self.filled == 0 && self.frame.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(StreamKind::Stdout, b"hello ", &mut bytes);
        encode(StreamKind::Stderr, b"oops", &mut bytes);
        bytes.extend_from_slice(&header(StreamKind::Stdout, 0));
        encode(StreamKind::Stdout, b"world", &mut bytes);
        bytes
    }

    #[test]
    fn frames_survive_any_cut() {
        let bytes = sample();
        for size in 1..=bytes.len() {
            let (mut decoder, mut out, mut err) = (Decoder::default(), Vec::new(), Vec::new());
            for mut piece in bytes.chunks(size) {
                while let Some((kind, part)) = decoder.next(&mut piece).unwrap() {
                    assert!(!part.is_empty());
                    if kind == StreamKind::Stderr { &mut err } else { &mut out }.extend_from_slice(part);
                }
            }
            assert_eq!(
                (out.as_slice(), err.as_slice()),
                (&b"hello world"[..], &b"oops"[..]),
                "pieces of {size}"
            );
            assert!(decoder.is_at_boundary());
        }
    }

    #[test]
    fn a_cut_frame_is_no_boundary() {
        let bytes = sample();
        let mut decoder = Decoder::default();
        let mut piece = &bytes[..10];
        while decoder.next(&mut piece).unwrap().is_some() {}
        assert!(!decoder.is_at_boundary());
    }

    #[test]
    fn other_bytes_are_refused() {
        let mut piece = &b"HTTP/1.1 200"[..];
        assert_eq!(Decoder::default().next(&mut piece), Err(Error::FrameKind { kind: b'H' }));
    }
}
