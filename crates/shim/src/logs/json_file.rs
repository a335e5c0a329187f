//! Docker's `json-file` log, write side.
//!
//! ```text
//! {"log":"text\n","stream":"stdout","attrs":{"tag":"…"},"time":"2026-11-20T22:55:01.123456789Z"}
//! ```
//!
//! One entry a line; `attrs` only when there are any. Entries of one piece of output are written by one
//! `write` (more only above 64 KiB), so that a container that prints a lot costs few system calls.
//! Nothing is synced: a log line is as durable as the page cache, as in Docker.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;

use jiff::Timestamp;

use super::lines::{Line, Lines};
use super::rotate::Rotation;
use super::timestamp::Clock;
use super::{Driver, Stream, escape};
use crate::config::JsonFileConfig;

/// Entries are written out when this many bytes of them have gathered, at the latest.
const BATCH: usize = 64 * 1024;

/// A `json-file` log that is open for writing.
#[derive(Debug)]
pub struct JsonFile {
    stdout: Lines,
    stderr: Lines,
    sink: Sink,
}

/// The file and what is not written to it yet.
#[derive(Debug)]
struct Sink {
    file: File,
    /// Bytes in the file.
    size: u64,
    batch: Vec<u8>,
    clock: Clock,
    /// `,"attrs":{…}`, or nothing.
    attrs: Vec<u8>,
    rotation: Rotation,
}

impl JsonFile {
    /// Opens or creates the log and goes on at its end.
    pub fn open(config: &JsonFileConfig) -> io::Result<Self> {
        let (file, size) = open_at_end(config)?;
        let sink = Sink {
            file,
            size,
            batch: Vec::new(),
            clock: Clock::default(),
            attrs: encode_attrs(config),
            rotation: Rotation::new(config),
        };
        Ok(Self { stdout: Lines::default(), stderr: Lines::default(), sink })
    }
}

impl Driver for JsonFile {
    fn write(&mut self, stream: Stream, bytes: &[u8]) -> io::Result<()> {
        let lines = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        let sink = &mut self.sink;
        let fed = lines.feed(bytes, Timestamp::now(), |line| sink.log(stream, line));
        fed.and(sink.flush())
    }

    fn close(&mut self) -> io::Result<()> {
        let (now, sink) = (Timestamp::now(), &mut self.sink);
        let stdout = self.stdout.finish(now, |line| sink.log(Stream::Stdout, line));
        let stderr = self.stderr.finish(now, |line| sink.log(Stream::Stderr, line));
        stdout.and(stderr).and(sink.flush())
    }
}

impl Sink {
    fn log(&mut self, stream: Stream, line: Line<'_>) -> io::Result<()> {
        if self.rotation.is_due(self.size + self.batch.len() as u64) {
            self.flush()?;
            self.file = self.rotation.rotate()?;
            self.size = 0;
        }
        self.append(stream, line);
        if self.batch.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn append(&mut self, stream: Stream, line: Line<'_>) {
        let out = &mut self.batch;
        out.extend_from_slice(br#"{"log":""#);
        escape::append(out, line.bytes);
        if line.complete {
            out.extend_from_slice(br"\n");
        }
        out.extend_from_slice(br#"","stream":""#);
        out.extend_from_slice(stream.name().as_bytes());
        out.push(b'"');
        out.extend_from_slice(&self.attrs);
        out.extend_from_slice(br#","time":""#);
        self.clock.append(out, line.time);
        out.extend_from_slice(b"\"}\n");
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let written = self.file.write_all(&self.batch);
        match written {
            Ok(()) => self.size += self.batch.len() as u64,
            // A full disk must not leave half an entry for the next one to be glued to. If even that fails, a
            // reader skips the line.
            Err(_) => drop(self.file.set_len(self.size)),
        }
        self.batch.clear();
        self.batch.shrink_to(BATCH);
        written
    }
}

/// Opens the file for appending. An entry that a crash cut off is closed with a newline; readers skip it.
fn open_at_end(config: &JsonFileConfig) -> io::Result<(File, u64)> {
    let mut options = OpenOptions::new();
    let mut file = options.read(true).append(true).create(true).mode(0o640).open(&config.path)?;
    let mut size = file.metadata()?.len();
    if size > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            size += 1;
        }
    }
    Ok((file, size))
}

fn encode_attrs(config: &JsonFileConfig) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in &config.attrs {
        out.extend_from_slice(if out.is_empty() { br#","attrs":{""# } else { b",\"" });
        escape::append(&mut out, key.as_bytes());
        out.extend_from_slice(b"\":\"");
        escape::append(&mut out, value.as_bytes());
        out.push(b'"');
    }
    if !out.is_empty() {
        out.push(b'}');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_look_like_dockers_and_go_on_after_a_torn_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c-json.log");
        std::fs::write(&path, "{\"log\":\"torn").unwrap();
        let attrs = [("tag", "a<b"), ("env", "x")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let config = JsonFileConfig { path: path.clone(), attrs, ..JsonFileConfig::default() };
        let mut log = JsonFile::open(&config).unwrap();
        log.write(Stream::Stdout, b"one\ntw").unwrap();
        log.write(Stream::Stderr, b"oops\n").unwrap();
        log.write(Stream::Stdout, b"o").unwrap();
        log.close().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let untimed: Vec<_> = text.lines().map(|line| line.split(r#","time":""#).next().unwrap()).collect();
        assert_eq!(
            untimed,
            [
                r#"{"log":"torn"#,
                r#"{"log":"one\n","stream":"stdout","attrs":{"env":"x","tag":"a\u003cb"}"#,
                r#"{"log":"oops\n","stream":"stderr","attrs":{"env":"x","tag":"a\u003cb"}"#,
                r#"{"log":"two","stream":"stdout","attrs":{"env":"x","tag":"a\u003cb"}"#,
            ]
        );
        assert!(text.ends_with("Z\"}\n"));
    }
}
