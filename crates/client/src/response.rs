//! A response whose status was good.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http_body_util::{BodyExt, BodyStream};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use serde::de::DeserializeOwned;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::lines::Lines;
use crate::request::Body;

/// The engine's answer. Reading it to its end gives the connection back for the next request.
#[derive(Debug)]
pub struct Response<'a> {
    client: &'a Client,
    inner: hyper::Response<Incoming>,
    sender: SendRequest<Body>,
}

impl<'a> Response<'a> {
    pub(crate) fn new(
        client: &'a Client,
        inner: hyper::Response<Incoming>,
        sender: SendRequest<Body>,
    ) -> Self {
        Self { client, inner, sender }
    }

    /// HTTP status, below 400.
    pub fn status(&self) -> u16 {
        self.inner.status().as_u16()
    }

    /// A header's text, if it is there and is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.inner.headers().get(name)?.to_str().ok()
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`Error::Body`] if it breaks off.
    pub async fn bytes(self) -> Result<Bytes> {
        let Self { client, inner, mut sender } = self;
        let body = inner.into_body().collect().await.map_err(broken)?.to_bytes();
        // The body has been read, so the connection is free at once or closed for good.
        if sender.ready().await.is_ok() {
            client.keep_idle(sender);
        }
        Ok(body)
    }

    /// The whole body, read as JSON.
    ///
    /// # Errors
    /// [`Error::Body`] if it breaks off, [`Error::Decode`] if it is something else.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|source| Error::Decode { source })
    }

    /// Reads the body away.
    ///
    /// # Errors
    /// [`Error::Body`] if it breaks off.
    pub async fn done(self) -> Result<()> {
        self.bytes().await.map(drop)
    }

    /// The body as it comes.
    pub fn into_reader(self) -> impl AsyncRead + Send + Unpin + 'static {
        let frames = BodyStream::new(self.inner.into_body());
        let data = frames.filter_map(|frame| async {
            match frame {
                Ok(frame) => frame.into_data().ok().map(Ok),
                Err(error) => Some(Err(error)),
            }
        });
        StreamReader::new(Box::pin(data.map_err(std::io::Error::other)))
    }

    /// The body as JSON values, one a line.
    pub fn into_lines<T: DeserializeOwned>(self) -> Lines<T> {
        Lines::new(self.inner.into_body())
    }
}

pub(crate) fn broken(error: hyper::Error) -> Error {
    Error::Body { source: std::io::Error::other(error) }
}
