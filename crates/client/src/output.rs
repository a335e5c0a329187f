//! What containers write, as it comes: raw from a terminal, else in frames that say stdout or stderr.

use std::fmt;

use barge_api::framing::{Decoder, StreamKind};
use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::error::{Error, Result};

const CHUNK: usize = 64 * 1024;

/// Output of a container or an exec.
pub struct Output {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    /// `None` is raw: all is stdout.
    decoder: Option<Decoder>,
    buffer: BytesMut,
}

impl Output {
    /// Reads raw bytes if there is a terminal, else frames.
    pub(crate) fn new(reader: impl AsyncRead + Send + Unpin + 'static, terminal: bool) -> Self {
        let decoder = (!terminal).then(Decoder::default);
        Self { reader: Box::new(reader), decoder, buffer: BytesMut::new() }
    }

    /// The next piece of one of the streams; `None` at the end. May be dropped while it waits.
    ///
    /// # Errors
    /// [`Error::Body`] if the connection breaks, [`Error::Stream`] if the engine ended it with an error,
    /// [`Error::Framing`] for bytes that are no frames.
    pub async fn next(&mut self) -> Result<Option<(StreamKind, Bytes)>> {
        loop {
            if let Some(piece) = self.ready()? {
                return Ok(Some(piece));
            }
            self.buffer.reserve(CHUNK);
            let read =
                self.reader.read_buf(&mut self.buffer).await.map_err(|source| Error::Body { source })?;
            if read == 0 {
                return Ok(None);
            }
        }
    }

    /// The next piece if it is here already; lets a reader gather small pieces before it writes them.
    ///
    /// # Errors
    /// As for [`Output::next`], but for the connection's.
    pub fn ready(&mut self) -> Result<Option<(StreamKind, Bytes)>> {
        if self.buffer.is_empty() {
            return Ok(None);
        }
        let Some(decoder) = &mut self.decoder else {
            return Ok(Some((StreamKind::Stdout, self.buffer.split().freeze())));
        };
        let mut rest = &self.buffer[..];
        let found = decoder.next(&mut rest).map_err(|source| Error::Framing { source })?;
        let left = rest.len();
        let found = found.map(|(kind, part)| (kind, part.len()));
        let used = self.buffer.len() - left;
        let mut taken = self.buffer.split_to(used);
        let Some((kind, length)) = found else { return Ok(None) };
        // A header may stand before the payload, never behind it.
        let payload = taken.split_off(used - length).freeze();
        match kind {
            StreamKind::SystemError => {
                Err(Error::Stream { message: String::from_utf8_lossy(&payload).into_owned() })
            }
            kind => Ok(Some((kind, payload))),
        }
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").field("decoder", &self.decoder).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use barge_api::framing::encode;

    use super::*;

    fn framed() -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(StreamKind::Stdout, b"out", &mut bytes);
        encode(StreamKind::Stderr, b"err", &mut bytes);
        bytes
    }

    async fn collect(mut output: Output) -> Result<Vec<(StreamKind, Bytes)>> {
        let mut pieces = Vec::new();
        while let Some(piece) = output.next().await? {
            pieces.push(piece);
        }
        Ok(pieces)
    }

    #[tokio::test(flavor = "current_thread")]
    async fn frames_are_taken_apart() {
        let pieces = collect(Output::new(std::io::Cursor::new(framed()), false)).await.unwrap();
        let expected = [(StreamKind::Stdout, &b"out"[..]), (StreamKind::Stderr, &b"err"[..])];
        assert_eq!(pieces.iter().map(|(kind, part)| (*kind, &part[..])).collect::<Vec<_>>(), expected);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_terminal_is_raw() {
        let pieces = collect(Output::new(std::io::Cursor::new(framed()), true)).await.unwrap();
        assert_eq!(pieces, [(StreamKind::Stdout, Bytes::from(framed()))]);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn the_engines_error_ends_the_stream() {
        let mut bytes = Vec::new();
        encode(StreamKind::SystemError, b"disk full", &mut bytes);
        let error = collect(Output::new(std::io::Cursor::new(bytes), false)).await.unwrap_err();
        assert!(matches!(error, Error::Stream { message } if message == "disk full"));
    }
}
