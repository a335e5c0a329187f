//! One accepted connection: the bytes beneath HTTP, and what they turn into when HTTP is done with them.
//!
//! A client that goes away ends the request it waits for. On a unix socket a client that only closes its writing half
//! (`printf … | nc -N`) is told apart from one that is gone: the end of its bytes is held back while a request runs,
//! until the kernel reports a hang-up. Over tcp both look the same and count as gone, as in Go's server.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use barge_engine::ClientStream;
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;

/// How often a half-closed client is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// The requests that a connection has under way: none or one.
pub(crate) type Busy = Arc<AtomicUsize>;

/// A client's connection.
pub(crate) struct Connection {
    socket: Socket,
    busy: Busy,
    /// Set while the end of a half-closed client's bytes is held back.
    look: Option<Pin<Box<Sleep>>>,
}

/// What carries the bytes.
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    pub(crate) fn new(socket: Socket, busy: Busy) -> Self {
        Self { socket, busy, look: None }
    }

    /// Gives the connection up to a container. `leftover` was read from it beyond the request.
    pub(crate) fn into_stream(self, leftover: Bytes) -> io::Result<ClientStream> {
        match self.socket {
            Socket::Unix(socket) => Ok(ClientStream::Socket(socket.into_std()?.into(), leftover)),
            Socket::Tcp(socket) => Ok(ClientStream::Socket(socket.into_std()?.into(), leftover)),
            Socket::Tls(stream) => Ok(ClientStream::Duplex(Box::new(Preceded { leftover, stream }))),
        }
    }

    fn is_only_half_closed(&self) -> bool {
        let Socket::Unix(socket) = &self.socket else { return false };
        let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::empty())];
        let polled = rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default()));
        polled.is_ok() && !fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

impl Socket {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }

    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Unpin)> {
        match self {
            Self::Unix(socket) => Pin::new(socket),
            Self::Tcp(socket) => Pin::new(socket),
            Self::Tls(stream) => Pin::new(stream),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if let Some(look) = &mut self.look {
                ready!(look.as_mut().poll(cx));
                self.look = None;
            }
            let before = buf.filled().len();
            ready!(self.socket.poll_read(cx, buf))?;
            let ended = buf.filled().len() == before && buf.remaining() > 0;
            if !ended || self.busy.load(Ordering::Acquire) == 0 || !self.is_only_half_closed() {
                return Poll::Ready(Ok(()));
            }
            self.look = Some(Box::pin(tokio::time::sleep(LOOK)));
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.socket.writer().poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket.writer().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        !matches!(self.socket, Socket::Tls(_))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.writer().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.writer().poll_shutdown(cx)
    }
}

/// A stream whose first bytes were read already.
struct Preceded {
    leftover: Bytes,
    stream: Box<TlsStream<TcpStream>>,
}

impl AsyncRead for Preceded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.leftover.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let length = self.leftover.len().min(buf.remaining());
        buf.put_slice(&self.leftover.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Preceded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
