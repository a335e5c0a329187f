//! Why the daemon does not start, or ends. What a request fails with is the engine's error.

use std::io;
use std::net::AddrParseError;
use std::path::PathBuf;

/// `Result` with the daemon's [`Error`].
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// What the daemon can fail with as a process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Usage(clap::Error),
    #[error("invalid argument \"{value}\" for \"--{flag}\" flag")]
    FlagValue { flag: &'static str, value: String },
    #[error("unable to read the configuration file {path}: {source}", path = path.display())]
    ConfigRead { path: PathBuf, source: io::Error },
    #[error("unable to configure the daemon with file {path}: {reason}", path = path.display())]
    Config { path: PathBuf, reason: String },
    #[error("invalid configuration: {reason}")]
    Settings { reason: String },
    #[error("invalid bind address ({address}): {reason}")]
    Host { address: String, reason: &'static str },
    #[error("failed to start daemon: {what} is in use by process {pid}")]
    Taken { what: String, pid: String },
    #[error("failed to start daemon: {operation} {path}: {source}", path = path.display())]
    File { operation: &'static str, path: PathBuf, source: io::Error },
    #[error("failed to listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error("failed to listen on {address}: another daemon listens there already")]
    Listening { address: String },
    #[error("no sockets found via socket activation: make sure the service was started by systemd")]
    NoActivatedSockets,
    #[error("could not load {what} {path}: {reason}", path = path.display())]
    Tls { what: &'static str, path: PathBuf, reason: String },
    #[error("invalid TLS configuration: {source}")]
    TlsConfig { source: rustls::Error },
    #[error("invalid address {text:?}: {source}")]
    Address { text: String, source: AddrParseError },
    #[error("could not start the runtime: {source}")]
    Runtime { source: io::Error },
    #[error("could not handle signals: {source}")]
    Signals { source: io::Error },
    #[error("failed to start daemon: {source}")]
    Engine { source: barge_engine::Error },
}
