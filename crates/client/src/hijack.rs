//! A connection taken over from HTTP: a container's streams both ways.

use std::io;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, WriteHalf};

use crate::output::Output;

/// A connection to a container's or exec's streams.
#[derive(Debug)]
pub struct Hijacked {
    stream: TokioIo<Upgraded>,
}

/// The way to standard input.
#[derive(Debug)]
pub struct Input {
    writer: WriteHalf<TokioIo<Upgraded>>,
}

impl Hijacked {
    pub(crate) fn new(upgraded: Upgraded) -> Self {
        Self { stream: TokioIo::new(upgraded) }
    }

    /// Splits it into both ways. `terminal` says whether the container has one, and so no frames.
    pub fn split(self, terminal: bool) -> (Output, Input) {
        let (reader, writer) = tokio::io::split(self.stream);
        (Output::new(reader, terminal), Input { writer })
    }
}

impl Input {
    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes).await?;
        self.writer.flush().await
    }

    /// Says that no more will come; output goes on.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn close(mut self) -> io::Result<()> {
        self.writer.shutdown().await
    }
}
