//! Attach: a client's connection is given to the container's shim, which then talks to the client itself.
//!
//! A container that does not run yet keeps the connection waiting and hands it over before its first byte.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use barge_api::events::action;
use barge_shim::{Attach, Framing, Shim};
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::detach_keys;
use super::lifecycle::Status;
use super::logs::LogsOptions;
use super::task::Owner;
use super::{Containers, logs};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// A connection that a client has given up to a container's standard streams.
pub enum ClientStream {
    /// A raw unix or TCP socket, after the hijack, and the bytes that were read from it beyond the request.
    Socket(OwnedFd, Bytes),
    /// Anything else that carries bytes both ways (TLS, websocket): bridged by the engine.
    Duplex(Box<dyn Duplex>),
}

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Duplex for T {}

/// `POST /containers/{id}/attach`.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Replay what was logged before.
    pub logs: bool,
    /// Stay attached.
    pub stream: bool,
    /// `ctrl-p,ctrl-q` in Docker's words; `None` takes that.
    pub detach_keys: Option<String>,
}

/// A client that attached before the start.
pub(super) struct Waiting {
    attach: Attach,
    socket: OwnedFd,
}

/// A number no other attach of this engine has.
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Containers {
    /// Whether an attach may be: its answer is whether the container has a terminal (raw stream) or not
    /// (multiplexed). Called before the connection is hijacked, because afterwards no status can be sent.
    pub fn check_attach(&self, id: &str) -> Result<bool> {
        let container = self.index.find(id)?;
        let document = container.view().document;
        match document.status {
            Status::Paused(_) => {
                Err(Error::conflict(format!("container {id} is paused, unpause the container before attach")))
            }
            Status::Restarting(_) => Err(Error::conflict(format!(
                "container {id} is restarting, wait until the container is running"
            ))),
            _ => Ok(document.config.tty),
        }
    }

    /// Hands the client's connection to the container, also before it starts.
    pub async fn attach(
        &self,
        engine: &Arc<Engine>,
        id: &str,
        options: AttachOptions,
        stream: ClientStream,
    ) -> Result<()> {
        let container = self.index.find(id)?;
        let document = container.view().document;
        let mut socket = stream.into_socket()?;
        if options.logs {
            let wanted =
                LogsOptions { stdout: options.stdout, stderr: options.stderr, ..LogsOptions::default() };
            socket = logs::replay(engine, &document, &wanted, socket).await?;
        }
        super::task::announce(engine, &document, action::ATTACH, &[]);
        if !options.stream {
            return Ok(());
        }
        let tty = document.config.tty;
        let stdin = options.stdin && document.config.open_stdin;
        let keys =
            if tty && stdin { Some(detach_keys::parse(options.detach_keys.as_deref())?) } else { None };
        let attach = Attach {
            id: next_id(),
            exec: None,
            stdin,
            stdout: options.stdout,
            stderr: options.stderr,
            detach_keys: keys,
            framing: if tty { Framing::Raw } else { Framing::Multiplexed },
        };
        container.ask(|owner| Box::pin(owner.attach(attach, socket))).await
    }
}

impl Owner {
    async fn attach(&mut self, attach: Attach, socket: OwnedFd) -> Result<()> {
        match &self.live {
            Some(live) => {
                let failed = |error| Error::system(format!("attaching to the container: {error}"));
                live.shim.attach(attach, socket).await.map_err(failed)
            }
            None => {
                self.waiting.push(Waiting { attach, socket });
                Ok(())
            }
        }
    }

    /// Gives those who attached before the start to the shim, before the first byte.
    pub(super) async fn hand_over_waiting(&mut self, shim: &Shim) {
        for Waiting { attach, socket } in self.waiting.drain(..) {
            if let Err(error) = shim.attach(attach, socket).await {
                tracing::warn!(id = self.document.id, %error, "a client could not be attached");
            }
        }
    }
}

impl ClientStream {
    /// A socket that can be given to another process.
    pub(crate) fn into_socket(self) -> Result<OwnedFd> {
        let failed =
            |error: std::io::Error| Error::system(format!("taking over the client's connection: {error}"));
        match self {
            Self::Socket(socket, early) if early.is_empty() => Ok(socket),
            Self::Socket(socket, early) => {
                let stream = stream_of(socket).map_err(failed)?;
                bridge(stream, early).map_err(failed)
            }
            Self::Duplex(stream) => bridge(stream, Bytes::new()).map_err(failed),
        }
    }
}

/// A stream socket of any family as something tokio reads and writes: no more than that is done with it.
pub(crate) fn stream_of(socket: OwnedFd) -> std::io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::from(socket);
    stream.set_nonblocking(true)?;
    UnixStream::from_std(stream)
}

/// Carries bytes between a client and one end of a socket pair; the other end is returned.
fn bridge(client: impl Duplex, early: Bytes) -> std::io::Result<OwnedFd> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let ours = UnixStream::from_std(ours)?;
    tokio::spawn(async move {
        let (mut client_in, mut client_out) = tokio::io::split(client);
        let (mut container_out, mut container_in) = ours.into_split();
        let inward = async {
            container_in.write_all(&early).await?;
            tokio::io::copy(&mut client_in, &mut container_in).await?;
            container_in.shutdown().await
        };
        let outward = async {
            tokio::io::copy(&mut container_out, &mut client_out).await?;
            client_out.shutdown().await
        };
        // The container's end is the end: a client that still types is not waited for.
        tokio::pin!(inward);
        tokio::select! {
            _ = outward => {}
            _ = async { let _ = inward.await; std::future::pending::<()>().await } => {}
        }
    });
    Ok(theirs.into())
}
