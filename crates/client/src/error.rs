//! What a request can fail with.

use std::io;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failed request. The texts are what Docker's client says, because scripts match on them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine answered with a status of 400 or above.
    #[error("Error response from daemon: {message}")]
    Api {
        /// HTTP status.
        status: u16,
        /// The engine's own words.
        message: String,
    },
    /// Nobody listens there.
    #[error("Cannot connect to the Docker daemon at {endpoint}. Is the docker daemon running?")]
    Connect {
        /// Where it was tried.
        endpoint: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The socket is there but not for us.
    #[error("permission denied while trying to connect to the Docker daemon socket at {endpoint}: {source}")]
    Permission {
        /// Where it was tried.
        endpoint: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A host text that is no endpoint.
    #[error("unable to parse docker host `{text}`")]
    Endpoint {
        /// The text.
        text: String,
    },
    /// A certificate or key file.
    #[error("could not load TLS file {path}: {reason}")]
    TlsFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificates that do not make a TLS configuration.
    #[error("invalid TLS configuration: {source}")]
    TlsConfig {
        /// What rustls says.
        #[source]
        source: rustls::Error,
    },
    /// A server name TLS cannot verify.
    #[error("invalid TLS server name: {name}")]
    TlsServerName {
        /// The name.
        name: String,
    },
    /// The HTTP exchange broke.
    #[error("error during connect: {method} {path}: {source}")]
    Http {
        /// The request's method.
        method: String,
        /// The request's path and query.
        path: String,
        /// What hyper says.
        #[source]
        source: hyper::Error,
    },
    /// A request that is no HTTP, for example for a header's value.
    #[error("invalid request {path}: {source}")]
    Request {
        /// The request's path and query.
        path: String,
        /// What is wrong.
        #[source]
        source: hyper::http::Error,
    },
    /// The answer's body broke off.
    #[error("could not read the response: {source}")]
    Body {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The answer is not the JSON it should be.
    #[error("could not decode the response: {source}")]
    Decode {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A request's body that cannot be written as JSON.
    #[error("could not encode the request: {source}")]
    Encode {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The server did not give up its connection.
    #[error("unable to upgrade to tcp, received {status}")]
    Upgrade {
        /// HTTP status instead of 101.
        status: u16,
    },
    /// The engine closed a stream with an error of its own.
    #[error("error from daemon in stream: {message}")]
    Stream {
        /// The engine's words.
        message: String,
    },
    /// A stream that is not framed as it should be.
    #[error("could not read the stream: {source}")]
    Framing {
        /// What was found.
        #[source]
        source: barge_api::Error,
    },
    /// The engine speaks no version this client does.
    #[error("client and daemon share no API version: the daemon speaks {text:?}")]
    Version {
        /// What the daemon said.
        text: String,
    },
}

impl Error {
    /// The HTTP status, if the engine answered at all.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// True if the engine could not be reached or left in the middle: another try may find it back.
    pub fn is_disconnect(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Http { .. } | Self::Body { .. })
            || matches!(self, Self::Decode { source } if source.is_eof())
    }

    /// True if what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// True if no connection came about.
    pub fn is_connect(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Permission { .. })
    }
}
