//! One blob from the registry into the store: resumed where an earlier try ended, retried when the connection
//! breaks, and never more bytes than the manifest promised.
//!
//! Network and disk are two: the task here only passes buffers on, a thread of its own writes and hashes them.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use barge_oci::{Descriptor, Digest};
use barge_store::{Ingest, Lease};
use bytes::Bytes;
use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Response, StatusCode};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::growth::{Follower, Growth};
use super::{Pull, layer_id};
use crate::error::{Error, Result};
use crate::manifest::wrong_size;
use crate::progress::{Meter, Phase};
use crate::retry::Backoff;
use crate::transport::{self, Ask, Trust};

/// Buffers on their way to the disk. A buffer is what one read of the connection gave, 400 KiB at most.
const QUEUE: usize = 8;
/// A connection that is silent for so long is taken for broken.
const SILENCE: Duration = Duration::from_secs(60);
/// After so many bytes without a failure, failures count from zero again.
const GOOD_WHILE: u64 = 1 << 20;

/// A download about to begin.
pub(super) struct Opened {
    pub(super) download: Download,
    pub(super) follower: Follower,
}

/// A download.
pub(super) struct Download {
    pull: Pull,
    descriptor: Descriptor,
    /// Bytes passed on, with those that were there before.
    offset: u64,
    began_at: u64,
    queue: mpsc::Sender<Piece>,
    writer: JoinHandle<Result<()>>,
    meter: Meter,
}

enum Piece {
    Bytes(Bytes),
    End,
}

impl Download {
    /// Opens the partial file, with what it has.
    pub(super) async fn open(pull: &Pull, descriptor: &Descriptor) -> Result<Opened> {
        let (queue, pieces) = mpsc::channel(QUEUE);
        let (ready, opened) = oneshot::channel();
        let (store, lease, wanted) = (pull.store.clone(), Arc::clone(&pull.lease), descriptor.clone());
        let writer = tokio::task::spawn_blocking(move || {
            let ingest = store.blobs().ingest(&wanted.digest, Some(wanted.size));
            let ingest = ingest.map_err(|source| Error::Store { doing: "opening a download", source })?;
            let file = ingest.reader();
            let file = file.map_err(|source| Error::Store { doing: "opening a download", source })?;
            let growth = Growth::new(ingest.offset());
            // Nobody waits if the pull was stopped; then the pieces end at once, too.
            let _ = ready.send((ingest.offset(), growth.follow(file)));
            write(ingest, growth, pieces, lease)
        });
        let Ok((offset, follower)) = opened.await else { return Err(failure(writer).await) };
        let meter = Meter::new(&pull.progress, &layer_id(descriptor));
        let (pull, descriptor) = (pull.clone(), descriptor.clone());
        let download = Self { pull, descriptor, offset, began_at: offset, queue, writer, meter };
        Ok(Opened { download, follower })
    }

    /// True if it continues an earlier try.
    pub(super) fn resumed(&self) -> bool {
        self.began_at > 0
    }

    /// Fetches what is missing and verifies the whole.
    pub(super) async fn run(mut self) -> Result<()> {
        let mut backoff = Backoff::default();
        while self.offset < self.descriptor.size {
            let before = self.offset;
            let Err(error) = self.fetch().await else { continue };
            if self.offset - before > GOOD_WHILE {
                backoff.reset();
            }
            let pause = backoff.pause(error)?;
            tracing::debug!(blob = %self.descriptor.digest, at = self.offset, ?pause, "download is tried again");
            self.pull.progress.phase(&layer_id(&self.descriptor), Phase::Retrying { pause }).await;
            tokio::time::sleep(pause).await;
        }
        self.pull.progress.phase(&layer_id(&self.descriptor), Phase::Verifying).await;
        // If the writer is gone, it tells why below.
        let _ = self.queue.send(Piece::End).await;
        drop(self.queue);
        match self.writer.await {
            Ok(done) => done,
            Err(_) => Err(Error::Interrupted { doing: "writing a download" }),
        }
    }

    /// One request, from the offset on.
    async fn fetch(&mut self) -> Result<()> {
        let digest = self.descriptor.digest;
        let mut ask = Ask::get(self.pull.session.url(&format!("blobs/{digest}"))?);
        ask.trust = Trust::ByDigest;
        if self.offset > 0 {
            ask = ask.header(RANGE, &format!("bytes={}-", self.offset));
        }
        let response = match self.pull.session.send(ask).await {
            Err(Error::UnexpectedStatus { status: 416, .. }) => {
                return Err(wrong_size(digest, self.descriptor.size, &self.offset.to_string()));
            }
            other => other?,
        };
        let skip = self.check(&response)?;
        self.pass_on(response, skip).await
    }

    /// How many bytes of the answer we have already: a server may ignore that only the rest was asked for.
    fn check(&self, response: &Response) -> Result<u64> {
        let (digest, size) = (self.descriptor.digest, self.descriptor.size);
        if response.status() == StatusCode::PARTIAL_CONTENT {
            let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let Some((first, total)) = range.and_then(parse_content_range) else { return Ok(0) };
            if total.is_some_and(|total| total != size) {
                return Err(wrong_size(digest, size, &total.unwrap_or_default().to_string()));
            }
            if first > self.offset {
                let reason = format!("asked for bytes from {} on, got them from {first} on", self.offset);
                return Err(Error::Protocol { url: response.url().to_string(), reason });
            }
            return Ok(self.offset - first);
        }
        match response.content_length() {
            Some(length) if length != size => Err(wrong_size(digest, size, &length.to_string())),
            _ => Ok(self.offset),
        }
    }

    async fn pass_on(&mut self, mut response: Response, mut skip: u64) -> Result<()> {
        let url = response.url().clone();
        loop {
            let mut chunk = match tokio::time::timeout(SILENCE, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) if self.offset == self.descriptor.size => return Ok(()),
                Ok(Ok(None)) => {
                    return Err(Error::Cut { url: url.to_string(), cause: "unexpected EOF".to_owned() });
                }
                Ok(Err(error)) => return Err(transport::cut(&url, &error)),
                Err(_) => return Err(Error::Cut { url: url.to_string(), cause: "i/o timeout".to_owned() }),
            };
            if skip > 0 {
                let skipped = skip.min(chunk.len() as u64);
                skip -= skipped;
                // Not more than the chunk's length, which is a usize.
                let _ = chunk.split_to(usize::try_from(skipped).unwrap_or(chunk.len()));
            }
            let length = chunk.len() as u64;
            if self.offset + length > self.descriptor.size {
                let found = format!("at least {}", self.offset + length);
                return Err(wrong_size(self.descriptor.digest, self.descriptor.size, &found));
            }
            if self.queue.send(Piece::Bytes(chunk)).await.is_err() {
                return Err(self.writer_failure().await);
            }
            self.offset += length;
            let (current, total) = (self.offset, self.descriptor.size);
            self.meter.show(|| Phase::Downloading { current, total });
        }
    }

    async fn writer_failure(&mut self) -> Error {
        let writer = std::mem::replace(&mut self.writer, tokio::spawn(async { Ok(()) }));
        failure(writer).await
    }
}

async fn failure(writer: JoinHandle<Result<()>>) -> Error {
    match writer.await {
        Ok(Err(error)) => error,
        Ok(Ok(())) | Err(_) => Error::Interrupted { doing: "writing a download" },
    }
}

/// The writing thread. Without an end the partial file stays for a later try.
fn write(
    mut ingest: Ingest,
    growth: Growth,
    mut pieces: mpsc::Receiver<Piece>,
    lease: Arc<Lease>,
) -> Result<()> {
    while let Some(piece) = pieces.blocking_recv() {
        let Piece::Bytes(bytes) = piece else {
            let digest = *ingest.digest();
            // The follower may read to the end while the disk is still syncing; what it makes of the bytes is not
            // recorded before the commit has succeeded.
            growth.complete();
            let committed = ingest.commit();
            drop(lease);
            return committed.map_err(|source| tampered(digest, source));
        };
        ingest.write_all(&bytes).map_err(|source| Error::Disk { doing: "writing a download", source })?;
        growth.advance(ingest.offset());
    }
    Ok(())
}

fn tampered(object: Digest, source: barge_store::Error) -> Error {
    match source {
        barge_store::Error::DigestMismatch { actual, .. } => {
            Error::Tampered { object, reason: format!("the content's digest is {actual}") }
        }
        barge_store::Error::SizeMismatch { expected, actual, .. } => {
            wrong_size(object, expected, &actual.to_string())
        }
        source => Error::Store { doing: "storing a layer", source },
    }
}

/// `bytes FIRST-LAST/TOTAL`, the total `None` for `*` (RFC 9110 section 14.4).
fn parse_content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(parse_content_range("bytes 5-9/*"), Some((5, None)));
        assert_eq!(parse_content_range("bytes */10"), None);
        assert_eq!(parse_content_range("items 5-9/10"), None);
    }
}
