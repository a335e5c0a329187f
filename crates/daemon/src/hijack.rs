//! A connection that stops being HTTP: attach and exec start.
//!
//! ```text
//! request with `Upgrade: tcp` ──> 101 UPGRADED ──> the raw socket goes to the container's shim, and the daemon is
//!                                                  out of the way of every further byte
//! request without             ──> 200, the output as a body that ends with the connection, the request's body as
//!                                 input: for clients older than the upgrade
//! ```

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, StatusCode, Version, header};
use axum::response::Response;
use barge_api::{ApiVersion, MULTIPLEXED_STREAM, RAW_STREAM};
use barge_engine::{ClientStream, Error};
use futures_util::TryStreamExt;
use hyper::ext::ReasonPhrase;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::watch;
use tokio_util::io::{ReaderStream, StreamReader};

use crate::connection::Connection;

/// Bytes between a container and a client that did not upgrade.
const BUFFER: usize = 64 << 10;

/// The content type of a container's stream: framed unless it has a terminal, and said so from 1.42 on.
pub(crate) fn content_type(tty: bool, version: ApiVersion) -> &'static str {
    if tty || !version.at_least(42) { RAW_STREAM } else { MULTIPLEXED_STREAM }
}

/// A request that may become a stream.
pub(crate) enum Hijack {
    Upgrade(OnUpgrade),
    /// No upgrade was asked for; the request's body is the input.
    Plain(Body),
}

impl Hijack {
    /// Takes the connection out of the request.
    pub(crate) fn of(mut request: Request<Body>) -> Self {
        match Self::upgrade(&mut request) {
            Some(upgrade) => Self::Upgrade(upgrade),
            None => Self::Plain(request.into_body()),
        }
    }

    /// The same where the request's body means something else and was read before.
    pub(crate) fn after_body(upgrade: Option<OnUpgrade>) -> Self {
        upgrade.map_or_else(|| Self::Plain(Body::empty()), Self::Upgrade)
    }

    /// The connection beneath a request that asks to be upgraded.
    pub(crate) fn upgrade(request: &mut Request<Body>) -> Option<OnUpgrade> {
        let upgrade = request.extensions_mut().remove::<OnUpgrade>();
        upgrade.filter(|_| request.headers().contains_key(header::UPGRADE))
    }

    /// The response that begins the stream. `attach` gets the client's end once the response is on its way.
    pub(crate) fn respond<A, F>(self, content_type: &'static str, attach: A) -> Response
    where
        A: FnOnce(ClientStream) -> F + Send + 'static,
        F: Future<Output = Result<(), Error>> + Send + 'static,
    {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        match self {
            Self::Upgrade(upgrade) => {
                tokio::spawn(async move { report(hand_over(upgrade, attach).await) });
                *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
                response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("tcp"));
                response.extensions_mut().insert(ReasonPhrase::from_static(b"UPGRADED"));
            }
            Self::Plain(input) => {
                let (ours, theirs) = tokio::io::duplex(BUFFER);
                let (output, feed) = tokio::io::split(ours);
                tokio::spawn(feed_input(input, feed));
                tokio::spawn(async move { report(attach(ClientStream::Duplex(Box::new(theirs))).await) });
                *response.body_mut() = Body::from_stream(ReaderStream::new(output));
                // Old clients expect bare bytes up to the connection's end, not chunks.
                *response.version_mut() = Version::HTTP_10;
            }
        }
        response
    }
}

async fn hand_over<A, F>(upgrade: OnUpgrade, attach: A) -> Result<(), Error>
where
    A: FnOnce(ClientStream) -> F,
    F: Future<Output = Result<(), Error>>,
{
    let upgraded = upgrade.await.map_err(Error::failed("the client left before its stream began"))?;
    attach(client_stream(upgraded)?).await
}

/// The socket beneath HTTP.
fn client_stream(upgraded: Upgraded) -> Result<ClientStream, Error> {
    match upgraded.downcast::<TokioIo<Connection>>() {
        Ok(parts) => {
            let connection: Connection = parts.io.into_inner();
            connection.into_stream(parts.read_buf).map_err(Error::failed("taking over the connection"))
        }
        Err(upgraded) => Ok(ClientStream::Duplex(Box::new(TokioIo::new(upgraded)))),
    }
}

async fn feed_input(input: Body, mut feed: tokio::io::WriteHalf<DuplexStream>) {
    let mut input = StreamReader::new(input.into_data_stream().map_err(std::io::Error::other));
    // A container that stops reading is as fine as a client that stops writing.
    let _ = tokio::io::copy(&mut input, &mut feed).await;
    let _ = feed.shutdown().await;
}

fn report(outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        tracing::debug!(%error, "a stream could not be attached");
    }
}

/// Attaches whose response was sent but which the engine does not have yet.
///
/// `docker run` sends its start as soon as it sees the attach's 101. Until then the connection is still with the HTTP
/// machinery; a start waits here for those moments, so that the first byte is not missed.
#[derive(Debug)]
pub(crate) struct Handshakes {
    pending: Arc<Mutex<HashMap<String, usize>>>,
    changed: watch::Sender<()>,
}

/// One attach on its way to the engine.
#[derive(Debug)]
pub(crate) struct Handshake {
    pending: Arc<Mutex<HashMap<String, usize>>>,
    changed: watch::Sender<()>,
    container: String,
}

impl Default for Handshakes {
    fn default() -> Self {
        Self { pending: Arc::default(), changed: watch::Sender::new(()) }
    }
}

impl Handshakes {
    /// How long a start waits at most: a client that never reads its 101 must not keep a container from starting.
    const PATIENCE: Duration = Duration::from_secs(1);

    /// Notes an attach to this container, by whatever name the client gave it: it uses the same one for the start.
    pub(crate) fn begin(&self, container: &str) -> Handshake {
        *lock(&self.pending).entry(container.to_owned()).or_default() += 1;
        Handshake {
            pending: Arc::clone(&self.pending),
            changed: self.changed.clone(),
            container: container.to_owned(),
        }
    }

    /// Returns once no attach to this container is on its way.
    pub(crate) async fn settled(&self, container: &str) {
        let mut changed = self.changed.subscribe();
        let settled = changed.wait_for(|()| !lock(&self.pending).contains_key(container));
        let _ = tokio::time::timeout(Self::PATIENCE, settled).await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        let mut pending = lock(&self.pending);
        if let Some(count) = pending.get_mut(&self.container) {
            *count -= 1;
            if *count == 0 {
                pending.remove(&self.container);
            }
        }
        drop(pending);
        self.changed.send_replace(());
    }
}

fn lock(pending: &Mutex<HashMap<String, usize>>) -> std::sync::MutexGuard<'_, HashMap<String, usize>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_start_waits_for_its_attaches_only() {
        let handshakes = Arc::new(Handshakes::default());
        handshakes.settled("c").await;
        let (first, second) = (handshakes.begin("c"), handshakes.begin("c"));
        handshakes.settled("other").await;
        let waiting = tokio::spawn({
            let handshakes = Arc::clone(&handshakes);
            async move { handshakes.settled("c").await }
        });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(second);
        waiting.await.unwrap();
    }

    #[test]
    fn content_types() {
        assert_eq!(content_type(false, ApiVersion::new(1, 42)), MULTIPLEXED_STREAM);
        assert_eq!(content_type(false, ApiVersion::new(1, 41)), RAW_STREAM);
        assert_eq!(content_type(true, ApiVersion::new(1, 50)), RAW_STREAM);
    }
}
