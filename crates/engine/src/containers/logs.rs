//! Logs: what a container wrote, from the files its shim keeps.
//!
//! A blocking thread reads entries and renders them; a bounded channel carries them to the client. While following,
//! the thread sleeps on the directory's watch and looks again when the container has ended.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use barge_api::framing::{self, StreamKind};
use barge_shim::logs::{Entry, Query, Reader, Stream as Source};
use bytes::Bytes;
use futures_util::{Stream, stream};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::{mpsc, watch};

use super::attach::stream_of;
use super::document::Document;
use super::task::View;
use super::{Containers, bundle};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// `GET /containers/{id}/logs`. Times as the query has them: Unix seconds with a fraction, RFC 3339 or a duration.
#[derive(Clone, Debug, Default)]
pub struct LogsOptions {
    pub follow: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub since: String,
    pub until: String,
    pub timestamps: bool,
    pub details: bool,
    /// `all`, empty or a number of lines.
    pub tail: String,
}

/// A container's log as it goes to the client.
pub struct Logs {
    /// True: raw bytes (the container has a terminal); false: Docker's 8-byte frames are in the bytes already.
    pub tty: bool,
    pub stream: Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>,
}

/// A piece is sent once it is this long, or nothing more is there.
const PIECE: usize = 32 * 1024;
/// Pieces between the reading thread and the client.
const AHEAD: usize = 4;
/// How often a follower looks again though nothing woke it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

impl Containers {
    /// What it wrote.
    pub async fn logs(&self, engine: &Arc<Engine>, id: &str, options: LogsOptions) -> Result<Logs> {
        let container = self.index.find(id)?;
        let document = container.view().document;
        let wanted = Wanted::new(&document, &options)?;
        let path = log_file(engine, &document)?;
        let tty = document.config.tty;
        let (sender, receiver) = mpsc::channel(AHEAD);
        let follow = options.follow.then(|| container.watch());
        tokio::spawn(pump(path, wanted, follow, sender));
        let stream = stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((piece, receiver))
        });
        Ok(Logs { tty, stream: Box::pin(stream) })
    }
}

/// Writes what was logged so far to a client that is about to be attached.
pub(super) async fn replay(
    engine: &Engine,
    document: &Document,
    options: &LogsOptions,
    socket: OwnedFd,
) -> Result<OwnedFd> {
    let failed = |error: std::io::Error| Error::system(format!("replaying the log: {error}"));
    let (sender, mut receiver) = mpsc::channel(AHEAD);
    tokio::spawn(pump(log_file(engine, document)?, Wanted::new(document, options)?, None, sender));
    let mut client = stream_of(socket).map_err(failed)?;
    while let Some(piece) = receiver.recv().await {
        client.write_all(&piece?).await.map_err(failed)?;
    }
    Ok(client.into_std().map_err(failed)?.into())
}

fn log_file(engine: &Engine, document: &Document) -> Result<PathBuf> {
    if document.host_config.log_config.driver == "none" {
        return Err(Error::not_implemented("configured logging driver does not support reading"));
    }
    Ok(bundle::log_path(document, &engine.config.containers_dir().join(&document.id)))
}

/// Which entries are wanted, and in what shape.
#[derive(Clone, Debug)]
struct Wanted {
    query: Query,
    stdout: bool,
    stderr: bool,
    timestamps: bool,
    details: bool,
    framed: bool,
}

impl Wanted {
    fn new(document: &Document, options: &LogsOptions) -> Result<Self> {
        let time = |name: &str, text: &str| -> Result<Option<Timestamp>> {
            if text.is_empty() || text == "0" {
                return Ok(None);
            }
            let parsed = barge_api::time::parse(text, crate::clock::now(), &TimeZone::UTC);
            parsed.map(Some).map_err(|_| Error::invalid(format!("invalid value for \"{name}\": {text}")))
        };
        // As in dockerd, what is no number is all.
        let tail = options.tail.parse().ok();
        Ok(Self {
            query: Query {
                since: time("since", &options.since)?,
                until: time("until", &options.until)?,
                tail,
            },
            stdout: options.stdout,
            stderr: options.stderr,
            timestamps: options.timestamps,
            details: options.details,
            framed: !document.config.tty,
        })
    }

    fn takes(&self, entry: &Entry) -> bool {
        match entry.stream {
            Source::Stdout => self.stdout,
            Source::Stderr => self.stderr,
        }
    }

    /// Appends an entry in the client's shape.
    fn render(&self, entry: &Entry, out: &mut Vec<u8>) {
        let mut prefix = String::new();
        if self.timestamps {
            prefix.push_str(&format!("{:.9} ", entry.time));
        }
        if self.details {
            let pairs: Vec<String> = entry
                .attrs
                .iter()
                .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
                .collect();
            prefix.push_str(&pairs.join(","));
            prefix.push(' ');
        }
        if !self.framed {
            out.extend_from_slice(prefix.as_bytes());
            out.extend_from_slice(&entry.line);
            return;
        }
        let kind = match entry.stream {
            Source::Stdout => StreamKind::Stdout,
            Source::Stderr => StreamKind::Stderr,
        };
        if prefix.is_empty() {
            framing::encode(kind, &entry.line, out);
        } else {
            let mut line = prefix.into_bytes();
            line.extend_from_slice(&entry.line);
            framing::encode(kind, &line, out);
        }
    }
}

/// As Go's `url.QueryEscape`, which dockerd writes details with.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => escaped.push(byte.into()),
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// Reads, renders and sends until there is no more, nobody listens, or the container being followed has ended.
async fn pump(
    path: PathBuf,
    wanted: Wanted,
    mut follow: Option<watch::Receiver<View>>,
    sender: mpsc::Sender<Result<Bytes>>,
) {
    let query = wanted.query;
    let opened = tokio::task::spawn_blocking(move || Reader::open(&path, query)).await;
    let mut reader = match opened {
        Ok(Ok(reader)) => reader,
        Ok(Err(error)) => return drop(sender.send(Err(read_error(&error))).await),
        Err(_) => return,
    };
    let watch = match follow.as_ref().map(|_| reader.watch()) {
        // Any descriptor that is read like a pipe will do.
        Some(Ok(watch)) => Receiver::from_owned_fd_unchecked(watch).ok(),
        _ => None,
    };
    loop {
        // Asked before reading: what was written before the end is then read below.
        let over = follow.as_ref().is_none_or(|watch| has_ended(&watch.borrow()));
        let (helper, helper_sender) = (wanted.clone(), sender.clone());
        let read = tokio::task::spawn_blocking(move || {
            let outcome = send_all(&mut reader, &helper, &helper_sender);
            (reader, outcome)
        });
        let Ok((again, outcome)) = read.await else { return };
        reader = again;
        match outcome {
            Err(Stop::Error(error)) => return drop(sender.send(Err(read_error(&error))).await),
            Err(Stop::Gone) => return,
            Ok(()) if over || reader.has_ended() => return,
            Ok(()) => {}
        }
        if let Some(follow) = &mut follow {
            tokio::select! {
                () = sender.closed() => return,
                changed = follow.changed() => if changed.is_err() { return },
                () = grown(watch.as_ref()) => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
        if past(&wanted) {
            return;
        }
    }
}

/// Whether the container writes no more. One that its restart policy will start again does.
fn has_ended(view: &View) -> bool {
    view.removed || !view.document.status.counts_as_running()
}

/// Whether the wanted time is over, so that nothing more can come.
fn past(wanted: &Wanted) -> bool {
    wanted.query.until.is_some_and(|until| until < crate::clock::now())
}

/// Waits until the log's directory has changed.
async fn grown(watch: Option<&Receiver>) {
    let Some(watch) = watch else { return std::future::pending().await };
    if watch.readable().await.is_ok() {
        // What exactly changed does not matter: the log is read to its end anyway.
        let mut told = [0; 4096];
        while watch.try_read(&mut told).is_ok_and(|length| length > 0) {}
    }
}

enum Stop {
    Error(std::io::Error),
    /// Nobody listens any more.
    Gone,
}

/// Sends everything that is there now, in pieces.
fn send_all(reader: &mut Reader, wanted: &Wanted, sender: &mpsc::Sender<Result<Bytes>>) -> Result<(), Stop> {
    let mut piece = Vec::with_capacity(PIECE);
    let send = |piece: &mut Vec<u8>| {
        let bytes = Bytes::from(std::mem::replace(piece, Vec::with_capacity(PIECE)));
        sender.blocking_send(Ok(bytes)).map_err(|_| Stop::Gone)
    };
    while let Some(entry) = reader.next().map_err(Stop::Error)? {
        if wanted.takes(&entry) {
            wanted.render(&entry, &mut piece);
        }
        if piece.len() >= PIECE {
            send(&mut piece)?;
        }
    }
    if piece.is_empty() { Ok(()) } else { send(&mut piece) }
}

fn read_error(error: &std::io::Error) -> Error {
    Error::system(format!("error reading the log: {error}"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn wanted(framed: bool, timestamps: bool, details: bool) -> Wanted {
        Wanted { query: Query::default(), stdout: true, stderr: true, timestamps, details, framed }
    }

    #[test]
    fn entries_in_each_shape() {
        let entry = Entry {
            stream: Source::Stderr,
            time: "2026-01-02T03:04:05.5Z".parse().unwrap(),
            line: b"hi\n".to_vec(),
            attrs: BTreeMap::from([("a b".to_owned(), "c/d".to_owned())]),
        };
        let shape = |wanted: Wanted| {
            let mut out = Vec::new();
            wanted.render(&entry, &mut out);
            out
        };
        assert_eq!(shape(wanted(false, false, false)), b"hi\n");
        assert_eq!(shape(wanted(false, true, false)), b"2026-01-02T03:04:05.500000000Z hi\n");
        assert_eq!(shape(wanted(true, false, true)), b"\x02\0\0\0\0\0\0\x0da+b=c%2Fd hi\n");
    }
}
