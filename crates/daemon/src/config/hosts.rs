//! `-H`: where the daemon listens.

use std::path::PathBuf;

use crate::error::{Error, Result};

/// Docker's ports without and with TLS.
const PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

/// One place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Host {
    Unix(PathBuf),
    Tcp {
        host: String,
        port: u16,
    },
    /// Sockets from systemd: all of them, or the one of this name or number.
    Activated(Option<String>),
}

/// Reads `unix://PATH`, `tcp://HOST:PORT`, `fd://[NAME]`, a bare `HOST:PORT` or an empty text, which is `default`.
pub(crate) fn parse(text: &str, default: &std::path::Path, tls: bool) -> Result<Host> {
    let refuse = |reason| Error::Host { address: text.to_owned(), reason };
    let text = text.trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("tcp", text));
    match scheme {
        _ if text.is_empty() => Ok(Host::Unix(default.to_owned())),
        "unix" if rest.is_empty() => Ok(Host::Unix(default.to_owned())),
        "unix" if rest.starts_with('/') => Ok(Host::Unix(PathBuf::from(rest))),
        "unix" => Err(refuse("the path of a unix socket must be absolute")),
        "fd" if rest.is_empty() || rest == "*" => Ok(Host::Activated(None)),
        "fd" => Ok(Host::Activated(Some(rest.to_owned()))),
        "tcp" => tcp(rest, if tls { TLS_PORT } else { PORT }).ok_or_else(|| refuse("not HOST:PORT")),
        _ => Err(refuse("the scheme must be unix, tcp or fd")),
    }
}

fn tcp(text: &str, default_port: u16) -> Option<Host> {
    let (host, port) = match text.rsplit_once(':') {
        // The last colon of a bare IPv6 address is no port's.
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (text, ""),
    };
    let port = if port.is_empty() { default_port } else { port.parse().ok()? };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.contains(['/', ' ']) {
        return None;
    }
    // Nobody who leaves the host out means to be reached from everywhere.
    let host = if host.is_empty() { "127.0.0.1" } else { host };
    Some(Host::Tcp { host: host.to_owned(), port })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn hosts() {
        let tcp = |host: &str, port| Some(Host::Tcp { host: host.to_owned(), port });
        let cases = [
            ("", Some(Host::Unix("/default".into()))),
            ("unix://", Some(Host::Unix("/default".into()))),
            ("unix:///a/b", Some(Host::Unix("/a/b".into()))),
            ("unix://a", None),
            ("fd://", Some(Host::Activated(None))),
            ("fd://*", Some(Host::Activated(None))),
            ("fd://3", Some(Host::Activated(Some("3".to_owned())))),
            ("tcp://", tcp("127.0.0.1", 2375)),
            ("tcp://:5555", tcp("127.0.0.1", 5555)),
            ("tcp://0.0.0.0", tcp("0.0.0.0", 2375)),
            ("tcp://[::1]:99", tcp("::1", 99)),
            ("tcp://[::1]", tcp("::1", 2375)),
            ("127.0.0.1:80", tcp("127.0.0.1", 80)),
            ("tcp://a:b", None),
            ("tcp://a:99999", None),
            ("npipe:////./pipe/x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text, Path::new("/default"), false).ok(), expected, "{text}");
        }
        assert_eq!(parse("tcp://a", Path::new("/"), true).ok(), tcp("a", 2376));
    }
}
