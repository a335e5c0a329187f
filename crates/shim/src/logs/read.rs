//! The read side of a `json-file` log: from the oldest file to the current one, and on as it grows.
//!
//! ```text
//! open ──> [ log.2.gz ][ log.1 ][ log ] ──> next() ──> Entry … None ──(it has grown)──> Entry …
//! ```
//!
//! Plain blocking file reads, never waiting for the container: `None` means "nothing more for now". Who follows a log
//! waits for [`Reader::watch`]'s descriptor, or for a moment, and asks again. Rotation while reading is
//! noticed by the file's inode.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use rustix::fs::inotify;

use super::parse::{Entry, parse};
use super::rotate::{compressed, generation};
use super::tail::{self, Start};

const BLOCK: usize = 64 * 1024;

/// No entry is longer: a longer line is not an entry and is skipped.
const MAX_LINE: usize = 8 * 1024 * 1024;

/// Which entries are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Query {
    /// None that is older.
    pub since: Option<Timestamp>,
    /// None that is younger; the first such entry ends the reading.
    pub until: Option<Timestamp>,
    /// Only this many from the end, counted before the times are looked at (as Docker does).
    pub tail: Option<u64>,
}

/// A log that is being read.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    query: Query,
    /// Files still to be read after the current one.
    younger: VecDeque<File>,
    current: Option<File>,
    buffer: Vec<u8>,
    /// Where the first unread byte is in `buffer`.
    begin: usize,
    /// How much of `buffer` is known to hold no newline.
    scanned: usize,
    /// In the middle of a line that is too long.
    skipping: bool,
    ended: bool,
}

impl Reader {
    /// Opens the files of the log at `path` as they are now. A log that isn't there yet reads as empty.
    pub fn open(path: &Path, query: Query) -> io::Result<Self> {
        let mut files = open_generations(path, query.since)?;
        if let Some(lines) = query.tail {
            keep_tail(&mut files, lines)?;
        }
        let current = files.pop_front();
        Ok(Self {
            path: path.to_owned(),
            query,
            younger: files,
            current,
            buffer: Vec::new(),
            begin: 0,
            scanned: 0,
            skipping: false,
            ended: false,
        })
    }

    /// The next entry; `None` when there is none at the moment.
    #[allow(clippy::should_implement_trait, reason = "it fails, and None is not the end")]
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        while !self.ended {
            let Some(line) = self.next_line()? else { return Ok(None) };
            let Some(entry) = parse(&self.buffer[line]) else { continue };
            if self.query.until.is_some_and(|until| entry.time > until) {
                self.ended = true;
            } else if self.query.since.is_none_or(|since| entry.time >= since) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    /// Whether an entry beyond `until` was seen: there will never be another one.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// A descriptor that becomes readable when the log grows or is rotated. Non-blocking; drain it with [`drain`].
    ///
    /// Ask before the last [`Reader::next`], or what was written in between is only seen with the next change.
    pub fn watch(&self) -> io::Result<OwnedFd> {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let directory = self.path.parent().unwrap_or(Path::new("/"));
        let flags = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
        inotify::add_watch(&fd, directory, flags)?;
        Ok(fd)
    }

    /// The place in the buffer of the next whole line, without its newline.
    fn next_line(&mut self) -> io::Result<Option<std::ops::Range<usize>>> {
        loop {
            let unscanned = &self.buffer[self.begin + self.scanned..];
            if let Some(at) = unscanned.iter().position(|&byte| byte == b'\n') {
                let line = self.begin..self.begin + self.scanned + at;
                self.begin = line.end + 1;
                self.scanned = 0;
                if std::mem::take(&mut self.skipping) {
                    continue;
                }
                return Ok(Some(line));
            }
            self.scanned += unscanned.len();
            if self.scanned > MAX_LINE {
                (self.begin, self.scanned, self.skipping) = (self.buffer.len(), 0, true);
            }
            if !self.fill()? && !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Reads a block more of the current file; false at its end.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(file) = &mut self.current else { return Ok(false) };
        self.buffer.drain(..self.begin);
        self.begin = 0;
        let old = self.buffer.len();
        self.buffer.resize(old + BLOCK, 0);
        let read = file.read(&mut self.buffer[old..]);
        self.buffer.truncate(old + *read.as_ref().unwrap_or(&0));
        Ok(read? > 0)
    }

    /// Goes on to the file after the current one; false when the current one is the last.
    fn advance(&mut self) -> io::Result<bool> {
        let next = match self.younger.pop_front() {
            Some(file) => Some(file),
            None => self.successor()?,
        };
        let Some(next) = next else { return Ok(false) };
        // The file may have grown between its last read and its rotation.
        if self.fill()? {
            self.younger.push_front(next);
            return Ok(true);
        }
        self.current = Some(next);
        self.buffer.clear();
        (self.begin, self.scanned, self.skipping) = (0, 0, false);
        Ok(true)
    }

    /// The file that took the current one's place when it was rotated, if it was.
    fn successor(&self) -> io::Result<Option<File>> {
        let Some(file) = &self.current else { return open_if_there(&self.path) };
        let inode = file.metadata()?.ino();
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.ino() == inode => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let mut younger = self.path.clone();
        for number in 1.. {
            let older = generation(&self.path, number);
            match fs::metadata(&older) {
                Ok(metadata) if metadata.ino() == inode => break,
                Ok(_) => younger = older,
                // Rotated away, or compressed by now: go on with the oldest plain file that is left.
                Err(_) => break,
            }
        }
        open_if_there(&younger)
    }
}

/// Empties a descriptor of [`Reader::watch`].
pub fn drain(watch: &OwnedFd) {
    let mut events = [0_u8; 4096];
    while matches!(rustix::io::read(watch, &mut events), Ok(n) if n > 0) {}
}

/// All files of a log, oldest first.
fn open_generations(path: &Path, since: Option<Timestamp>) -> io::Result<VecDeque<File>> {
    let mut files = VecDeque::new();
    let mut inodes = Vec::new();
    for number in 0.. {
        let plain = if number == 0 { path.to_owned() } else { generation(path, number) };
        let file = match open_if_there(&plain)? {
            Some(file) => file,
            None => match open_if_there(&compressed(&plain))? {
                Some(file) => file,
                None if number == 0 => continue,
                None => break,
            },
        };
        let metadata = file.metadata()?;
        let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
        if number > 0 && since.is_some_and(|since| modified.is_some_and(|modified| modified < since)) {
            break;
        }
        // Rotated while the files were being opened: this one was opened by its younger name already.
        if inodes.contains(&metadata.ino()) {
            continue;
        }
        inodes.push(metadata.ino());
        files.push_front(inflate(file)?);
    }
    Ok(files)
}

/// A compressed file's content in an unnamed file; any other file as it is.
fn inflate(mut file: File) -> io::Result<File> {
    let mut magic = [0; 2];
    let read = file.read(&mut magic)?;
    file.rewind()?;
    if read < 2 || magic != [0x1F, 0x8B] {
        return Ok(file);
    }
    let flags = rustix::fs::OFlags::TMPFILE | rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let mut plain = File::from(rustix::fs::open("/tmp", flags, rustix::fs::Mode::RUSR)?);
    io::copy(&mut MultiGzDecoder::new(file), &mut plain)?;
    plain.rewind()?;
    Ok(plain)
}

/// Drops the files that the last `lines` are not in, and moves the first one left to where they begin.
fn keep_tail(files: &mut VecDeque<File>, lines: u64) -> io::Result<()> {
    let mut wanted = lines;
    for index in (0..files.len()).rev() {
        match tail::find(&files[index], wanted)? {
            Start::Missing(missing) => wanted = missing,
            Start::At(offset) => {
                files[index].seek(SeekFrom::Start(offset))?;
                files.drain(..index);
                break;
            }
        }
    }
    Ok(())
}

fn open_if_there(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::json_file::JsonFile;
    use super::super::{Driver, Stream};
    use super::*;
    use crate::config::JsonFileConfig;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_written_is_read_back(
            pieces in proptest::collection::vec(
                (any::<bool>(), proptest::collection::vec(any::<u8>(), 0..100)), 0..20),
            max_size in proptest::option::of(1_u64..2000),
        ) {
            let directory = tempfile::tempdir().unwrap();
            let config = JsonFileConfig {
                path: directory.path().join("log"), max_size, max_file: 100, ..JsonFileConfig::default()
            };
            let mut log = JsonFile::open(&config).unwrap();
            let mut wanted = [Vec::new(), Vec::new()];
            for (is_error, piece) in &pieces {
                let stream = if *is_error { Stream::Stderr } else { Stream::Stdout };
                log.write(stream, piece).unwrap();
                wanted[usize::from(*is_error)].extend_from_slice(piece);
            }
            log.close().unwrap();
            let mut reader = Reader::open(&config.path, Query::default()).unwrap();
            let mut read = [Vec::new(), Vec::new()];
            while let Some(entry) = reader.next().unwrap() {
                read[usize::from(entry.stream == Stream::Stderr)].extend(entry.line);
            }
            // Each byte that is not UTF-8 comes back as U+FFFD.
            let lossy = |bytes: &Vec<u8>| -> Vec<u8> {
                let texts = bytes.utf8_chunks();
                texts.flat_map(|c| [c.valid().to_owned(), "\u{fffd}".repeat(c.invalid().len())]).collect::<String>().into()
            };
            prop_assert_eq!(read, [lossy(&wanted[0]), lossy(&wanted[1])]);
        }

        #[test]
        fn any_file_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("log");
            fs::write(&path, bytes).unwrap();
            let mut reader = Reader::open(&path, Query { tail: Some(3), ..Query::default() }).unwrap();
            while reader.next().unwrap().is_some() {}
        }
    }
}
