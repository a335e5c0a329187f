//! `GET /images/get`: images as one tar, streamed as it is made.

use std::io::{self, Write};
use std::sync::Arc;

use barge_api::events::action;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;

use super::{Body, Images, publish, refusal};
use crate::engine::Engine;
use crate::error::Result;

const BUFFER: usize = 256 << 10;
const QUEUE: usize = 4;

impl Images {
    /// The archive of the images named (names, IDs, or repositories for all their tags).
    ///
    /// # Errors
    /// 404 if a name stands for nothing. What fails later cuts the stream off.
    pub async fn save(&self, engine: &Arc<Engine>, names: Vec<String>) -> Result<Body> {
        let (sender, mut receiver) = mpsc::channel(QUEUE);
        let (store, wanted) = (self.store.clone(), names.clone());
        tokio::task::spawn_blocking(move || {
            let mut writer =
                ChannelWriter { buffer: BytesMut::with_capacity(BUFFER), sender: sender.clone() };
            let saved = store.save(&wanted, &mut writer);
            let sent = match saved {
                Ok(()) => writer.flush().map_err(Failure::Broken),
                Err(error) => Err(Failure::Refused(error)),
            };
            if let Err(failure) = sent {
                // The client may be gone; then nobody is left to tell.
                let _ = sender.blocking_send(Err(failure));
            }
        });
        let first = match receiver.recv().await {
            Some(Err(Failure::Refused(error))) => return Err(refusal::store(error)),
            other => other,
        };
        for name in &names {
            if let Ok(image) = self.store.images().resolve(name) {
                publish(engine, action::SAVE, &image.id, &image.id.to_string());
            }
        }
        let rest = stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|item| (item, receiver))
        });
        let all = stream::iter(first).chain(rest);
        Ok(Box::pin(all.map(|item| item.map_err(Failure::into_io))))
    }
}

enum Failure {
    Refused(barge_store::Error),
    Broken(io::Error),
}

impl Failure {
    fn into_io(self) -> io::Error {
        match self {
            Self::Refused(error) => io::Error::other(error),
            Self::Broken(error) => error,
        }
    }
}

/// A writer whose bytes go to a stream, in large pieces.
struct ChannelWriter {
    buffer: BytesMut,
    sender: mpsc::Sender<std::result::Result<Bytes, Failure>>,
}

impl Write for ChannelWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BUFFER - self.buffer.len();
        let taken = bytes.len().min(room);
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == BUFFER {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let full = std::mem::replace(&mut self.buffer, BytesMut::with_capacity(BUFFER)).freeze();
        self.sender.blocking_send(Ok(full)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}
