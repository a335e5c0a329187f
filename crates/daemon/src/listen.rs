//! The sockets the API is served on: unix, tcp with or without TLS, and those systemd opened for us.

mod activation;
mod unix;

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use crate::config::Config;
use crate::config::hosts::Host;
use crate::error::{Error, Result};
use crate::tls;

/// A socket that accepts clients.
pub(crate) enum Listener {
    /// The path, if it is ours to remove.
    Unix(UnixListener, Option<SocketFile>),
    Tcp(TcpListener),
    Tls(TcpListener, TlsAcceptor),
}

/// A unix socket's place in the file system; removed on drop.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Where it listens, for the log.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Unix(_, Some(SocketFile(path))) => format!("unix://{}", path.display()),
            Self::Unix(_, None) => "an activated unix socket".to_owned(),
            Self::Tcp(listener) | Self::Tls(listener, _) => {
                listener.local_addr().map_or_else(|_| "tcp".to_owned(), |address| format!("tcp://{address}"))
            }
        }
    }
}

/// Opens every socket the configuration names.
pub(crate) async fn open(config: &Config) -> Result<Vec<Listener>> {
    let acceptor = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let mut listeners = Vec::new();
    for host in &config.hosts {
        match host {
            Host::Unix(path) => {
                let listener = unix::bind(path, config.group.as_deref())?;
                listeners.push(Listener::Unix(listener, Some(SocketFile(path.clone()))));
            }
            Host::Tcp { host, port } => {
                let bound = TcpListener::bind((host.as_str(), *port)).await;
                let address = format!("tcp://{host}:{port}");
                let listener = bound.map_err(|source| Error::Listen { address, source })?;
                listeners.push(over_tcp(listener, acceptor.as_ref()));
            }
            Host::Activated(name) => {
                for socket in activation::sockets(name.as_deref())? {
                    listeners.push(activated(socket, acceptor.as_ref())?);
                }
            }
        }
    }
    Ok(listeners)
}

fn over_tcp(listener: TcpListener, acceptor: Option<&TlsAcceptor>) -> Listener {
    match acceptor {
        Some(acceptor) => Listener::Tls(listener, acceptor.clone()),
        None => Listener::Tcp(listener),
    }
}

fn activated(socket: OwnedFd, acceptor: Option<&TlsAcceptor>) -> Result<Listener> {
    let failed = |source| Error::Listen { address: "an activated socket".to_owned(), source };
    rustix::io::ioctl_fionbio(&socket, true).map_err(|error| failed(error.into()))?;
    let domain = rustix::net::sockopt::socket_domain(&socket).map_err(|error| failed(error.into()))?;
    if domain == rustix::net::AddressFamily::UNIX {
        return Ok(Listener::Unix(UnixListener::from_std(socket.into()).map_err(failed)?, None));
    }
    Ok(over_tcp(TcpListener::from_std(socket.into()).map_err(failed)?, acceptor))
}

/// The directory of a socket, for those who watch it.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new("/"))
}
