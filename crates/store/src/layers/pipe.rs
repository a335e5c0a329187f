//! Chunks handed from the thread that decompresses to the thread that writes files.
//!
//! The chunks go round: an empty one comes back and is filled again, so that a layer of any size passes
//! through the same few buffers.

use std::io::{self, BufRead, Read};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// How long one chunk is: long enough that a file's content is mostly one write.
pub(super) const CHUNK: usize = 256 << 10;
/// How many chunks may be on the way.
const DEPTH: usize = 8;

/// The end that chunks are put in.
pub(super) struct Filler {
    filled: SyncSender<Vec<u8>>,
    empty: Receiver<Vec<u8>>,
}

/// The end that chunks come out of.
pub(super) struct Drain {
    filled: Receiver<Vec<u8>>,
    empty: Sender<Vec<u8>>,
    chunk: Vec<u8>,
    used: usize,
}

pub(super) fn pipe() -> (Filler, Drain) {
    let (filled_in, filled_out) = sync_channel(DEPTH);
    let (empty_in, empty_out) = channel();
    let drain = Drain { filled: filled_out, empty: empty_in, chunk: Vec::new(), used: 0 };
    (Filler { filled: filled_in, empty: empty_out }, drain)
}

impl Filler {
    /// A chunk to fill: a used one if one came back.
    pub(super) fn chunk(&self) -> Vec<u8> {
        self.empty.try_recv().unwrap_or_default()
    }

    /// Hands over a filled chunk; false if nobody takes any more.
    pub(super) fn send(&self, chunk: Vec<u8>) -> bool {
        self.filled.send(chunk).is_ok()
    }
}

impl BufRead for Drain {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.used == self.chunk.len() {
            let Ok(next) = self.filled.recv() else { return Ok(&[]) };
            // Nobody fills chunks any more when the other end is gone: then this one is just dropped.
            let _ = self.empty.send(std::mem::replace(&mut self.chunk, next));
            self.used = 0;
        }
        Ok(&self.chunk[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used = (self.used + amount).min(self.chunk.len());
    }
}

impl Read for Drain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.fill_buf()?;
        let length = piece.len().min(buffer.len());
        buffer[..length].copy_from_slice(&piece[..length]);
        self.consume(length);
        Ok(length)
    }
}
