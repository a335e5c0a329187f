//! A file that is still being written, read as if it were whole: the reader waits for what has not come yet.
//!
//! ```text
//! network ──> Ingest (hash, write) ──> partial file ──> Follower ──> layer apply
//!                       └── Growth: how many bytes are there, is that all ──┘
//! ```
//!
//! What waits between the two is in the page cache, not in memory of ours, and a resumed download needs no special
//! way: its first bytes are simply there already.

use std::fs::File;
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Growing,
    Complete,
    Abandoned,
}

#[derive(Debug)]
struct Shared {
    length: Mutex<(u64, State)>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (u64, State)> {
        self.length.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writer's side. Dropping it unfinished makes readers fail.
#[derive(Debug)]
pub(super) struct Growth {
    shared: Arc<Shared>,
}

impl Growth {
    /// `length` bytes are there.
    pub(super) fn new(length: u64) -> Self {
        let length = Mutex::new((length, State::Growing));
        Self { shared: Arc::new(Shared { length, changed: Condvar::new() }) }
    }

    /// A reader from the first byte on.
    pub(super) fn follow(&self, file: File) -> Follower {
        Follower { file, position: 0, known: 0, shared: Arc::clone(&self.shared) }
    }

    /// Now `length` bytes are there.
    pub(super) fn advance(&self, length: u64) {
        self.shared.lock().0 = length;
        self.shared.changed.notify_all();
    }

    /// That was all.
    pub(super) fn complete(self) {
        self.end(State::Complete);
    }

    fn end(&self, state: State) {
        let mut length = self.shared.lock();
        if length.1 == State::Growing {
            length.1 = state;
        }
        drop(length);
        self.shared.changed.notify_all();
    }
}

impl Drop for Growth {
    fn drop(&mut self) {
        self.end(State::Abandoned);
    }
}

/// The reader's side.
#[derive(Debug)]
pub(super) struct Follower {
    file: File,
    position: u64,
    /// Bytes known to be there, so that the lock is not taken for each read.
    known: u64,
    shared: Arc<Shared>,
}

impl Follower {
    /// Waits until there is something to read. False at the end.
    fn wait(&mut self) -> io::Result<bool> {
        let mut length = self.shared.lock();
        loop {
            match *length {
                (there, _) if there > self.position => {
                    self.known = there;
                    return Ok(true);
                }
                (_, State::Complete) => return Ok(false),
                (_, State::Abandoned) => return Err(io::Error::other("the download was given up")),
                (_, State::Growing) => {
                    length = self.shared.changed.wait(length).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

impl Read for Follower {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.known && !self.wait()? {
            return Ok(0);
        }
        let there = usize::try_from(self.known - self.position).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(there);
        let read = self.file.read(&mut buffer[..wanted])?;
        if read == 0 && wanted > 0 {
            // The partial file was emptied under us: its content was wrong.
            return Err(io::Error::other("the download was started over"));
        }
        self.position += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file() -> (File, File) {
        let path = std::env::temp_dir().join(format!(
            "barge-growth-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let writer = File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        (writer, reader)
    }

    #[test]
    fn a_reader_waits_for_the_writer() {
        let (mut writer, reader) = file();
        writer.write_all(b"ab").unwrap();
        let growth = Growth::new(2);
        let mut follower = growth.follow(reader);
        let thread = std::thread::spawn(move || {
            let mut text = String::new();
            follower.read_to_string(&mut text).map(|_| text)
        });
        for (piece, length) in [(&b"cd"[..], 4), (b"e", 5)] {
            writer.write_all(piece).unwrap();
            growth.advance(length);
        }
        growth.complete();
        assert_eq!(thread.join().unwrap().unwrap(), "abcde");
    }

    #[test]
    fn an_abandoned_file_is_no_short_file() {
        let (mut writer, reader) = file();
        writer.write_all(b"ab").unwrap();
        let growth = Growth::new(2);
        let mut follower = growth.follow(reader);
        drop(growth);
        let mut text = String::new();
        assert!(follower.read_to_string(&mut text).is_err());
        assert_eq!(text, "ab");
    }
}
