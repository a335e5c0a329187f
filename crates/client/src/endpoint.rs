//! Where an engine listens: `unix:///PATH`, `tcp://HOST:PORT`, `ssh://[USER@]HOST[:PORT]`.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, Result};

const PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// Where an engine listens and how it is spoken to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// TCP, in the clear or with TLS.
    Tcp {
        /// Name or address, without brackets.
        host: String,
        /// 2375, or 2376 with TLS, if the text has none.
        port: u16,
        /// Certificates; `None` is no TLS.
        tls: Option<TlsFiles>,
    },
    /// `docker system dial-stdio` on another machine, through the `ssh` program.
    Ssh {
        /// `[USER@]HOST`.
        host: String,
        /// `None` takes ssh's.
        port: Option<u16>,
        /// A socket path on that machine, if the URL had one.
        socket: Option<String>,
    },
}

/// The PEM files of a TLS connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Whom to trust.
    pub ca: Option<PathBuf>,
    /// Who we are, with [`TlsFiles::key`].
    pub cert: Option<PathBuf>,
    /// The key of [`TlsFiles::cert`].
    pub key: Option<PathBuf>,
    /// Whether the server must prove who it is.
    pub verify: Verify,
}

/// Whether a server's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// It is (`--tlsverify`).
    #[default]
    Server,
    /// It is not (`--tls`).
    Nothing,
}

impl Endpoint {
    /// Reads a host text as Docker's `-H` takes it; `tls` applies to TCP only.
    ///
    /// # Errors
    /// [`Error::Endpoint`] if it is none of the forms.
    pub fn parse(text: &str, tls: Option<TlsFiles>) -> Result<Self> {
        let refuse = || Error::Endpoint { text: text.to_owned() };
        let (scheme, rest) = text.split_once("://").ok_or_else(refuse)?;
        match scheme {
            "unix" if !rest.is_empty() => Ok(Self::Unix(rest.into())),
            "tcp" | "http" | "https" => {
                let tls = if scheme == "https" { Some(tls.unwrap_or_default()) } else { tls };
                let authority = rest.split('/').next().unwrap_or_default();
                let (host, port) = split_authority(authority).ok_or_else(refuse)?;
                let default = if tls.is_some() { TLS_PORT } else { PORT };
                let host = if host.is_empty() { "localhost" } else { host };
                Ok(Self::Tcp { host: host.to_owned(), port: port.unwrap_or(default), tls })
            }
            "ssh" => {
                let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
                let (host, port) = split_authority(authority).ok_or_else(refuse)?;
                // A host that starts with a dash would be an option to ssh.
                if host.is_empty() || host.starts_with('-') {
                    return Err(refuse());
                }
                let socket = (!path.is_empty()).then(|| format!("/{path}"));
                Ok(Self::Ssh { host: host.to_owned(), port, socket })
            }
            _ => Err(refuse()),
        }
    }

    /// The `Host` header.
    pub(crate) fn host_header(&self) -> String {
        match self {
            // Docker's Go client sends this name where there is no host.
            Self::Unix(_) | Self::Ssh { .. } => "api.moby.localhost".to_owned(),
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { .. } => write!(f, "tcp://{}", self.host_header()),
            Self::Ssh { host, port, socket } => {
                write!(f, "ssh://{host}")?;
                if let Some(port) = port {
                    write!(f, ":{port}")?;
                }
                f.write_str(socket.as_deref().unwrap_or_default())
            }
        }
    }
}

/// Splits `HOST[:PORT]`, an IPv6 host in brackets.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, tail) = rest.split_once(']')?;
        return match tail.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None if tail.is_empty() => Some((host, None)),
            None => None,
        };
    }
    match authority.rsplit_once(':') {
        Some((host, _)) if host.contains(':') => None,
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((authority, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let cases = [
            ("unix:///run/barge/barge.sock", Some("unix:///run/barge/barge.sock")),
            ("tcp://127.0.0.1:4243", Some("tcp://127.0.0.1:4243")),
            ("tcp://example", Some("tcp://example:2375")),
            ("https://example/", Some("tcp://example:2376")),
            ("tcp://[::1]:2375", Some("tcp://[::1]:2375")),
            ("tcp://:2375", Some("tcp://localhost:2375")),
            ("ssh://me@box:2222", Some("ssh://me@box:2222")),
            ("ssh://box/run/user/1000/docker.sock", Some("ssh://box/run/user/1000/docker.sock")),
            ("ssh://-oProxyCommand=evil", None),
            ("tcp://::1:2375", None),
            ("tcp://example:port", None),
            ("unix://", None),
            ("/run/barge.sock", None),
            ("npipe:////./pipe/docker", None),
        ];
        for (text, expected) in cases {
            let found = Endpoint::parse(text, None).ok().map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
