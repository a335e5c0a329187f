//! A stream of JSON values, one a line: progress, events, stats.

use std::marker::PhantomData;

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::response::broken;

/// What a JSON-seq stream puts before each value (RFC 7464).
const RECORD_SEPARATOR: u8 = 0x1e;

/// JSON values as they come.
#[derive(Debug)]
pub struct Lines<T> {
    body: Incoming,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line's end.
    searched: usize,
    ended: bool,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Lines<T> {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, buffer: BytesMut::new(), searched: 0, ended: false, value: PhantomData }
    }

    /// The next value; `None` at the end. May be dropped while it waits: nothing gets lost.
    ///
    /// # Errors
    /// [`Error::Body`] if the stream breaks off, [`Error::Decode`] for a line that is something else.
    pub async fn next(&mut self) -> Result<Option<T>> {
        loop {
            while let Some(line) = self.line() {
                let line = line.strip_prefix(&[RECORD_SEPARATOR]).unwrap_or(&line).trim_ascii();
                if !line.is_empty() {
                    return serde_json::from_slice(line).map(Some).map_err(|source| Error::Decode { source });
                }
            }
            if self.ended {
                return Ok(None);
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame.map_err(broken)?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                None => self.ended = true,
            }
        }
    }

    /// Cuts the next whole line off the buffer; at the end of the stream what is left counts as one.
    fn line(&mut self) -> Option<BytesMut> {
        match self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') {
            Some(at) => {
                let line = self.buffer.split_to(self.searched + at + 1);
                self.searched = 0;
                Some(line)
            }
            None if self.ended && !self.buffer.is_empty() => {
                self.searched = 0;
                Some(self.buffer.split())
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }
}
