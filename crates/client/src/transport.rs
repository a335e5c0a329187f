//! One connection to an engine, whatever carries it.

mod ssh;
mod tls;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};

/// The bytes' way to an engine and back. Shutting it down closes the way there only.
#[derive(Debug)]
pub(crate) enum Transport {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Ssh(Box<ssh::Tunnel>),
}

impl Transport {
    /// Opens a connection.
    ///
    /// # Errors
    /// [`Error::Connect`] or [`Error::Permission`]; with TLS what is wrong with the files.
    pub(crate) async fn connect(endpoint: &Endpoint) -> Result<Self> {
        let failed = |source: io::Error| {
            let endpoint = endpoint.to_string();
            match source.kind() {
                io::ErrorKind::PermissionDenied => Error::Permission { endpoint, source },
                _ => Error::Connect { endpoint, source },
            }
        };
        match endpoint {
            Endpoint::Unix(path) => UnixStream::connect(path).await.map(Self::Unix).map_err(failed),
            Endpoint::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                match tls {
                    None => Ok(Self::Tcp(stream)),
                    Some(files) => {
                        let (connector, name) = tls::connector(files, host)?;
                        let stream = connector.connect(name, stream).await.map_err(failed)?;
                        Ok(Self::Tls(Box::new(stream)))
                    }
                }
            }
            Endpoint::Ssh { host, port, socket } => {
                let tunnel = ssh::Tunnel::open(host, *port, socket.as_deref()).map_err(failed)?;
                Ok(Self::Ssh(Box::new(tunnel)))
            }
        }
    }
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
            Self::Ssh(tunnel) => Pin::new(&mut tunnel.output).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
            Self::Ssh(tunnel) => tunnel.poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
            Self::Ssh(tunnel) => tunnel.poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            Self::Ssh(tunnel) => tunnel.poll_shutdown(cx),
        }
    }
}
