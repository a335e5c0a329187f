//! What can go wrong between here and a registry, in the words of Docker's registry client.

use std::time::Duration;

use barge_oci::{Digest, Platform};
use reqwest::Method;

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is, for who has to answer a request with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The registry does not have it.
    NotFound,
    /// The registry does not let this user have it, or hides that it does not exist.
    Denied,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// No answer, or the registry is out of order.
    Unreachable,
    /// Content is not what its digest or its size promise.
    Tampered,
    /// The registry asks to be left alone for a while.
    TooManyRequests,
    /// Understood, and of a sort that is not supported.
    Unsupported,
    /// What was asked for can't be a registry, a name, a platform.
    Invalid,
    /// This machine's fault: its disk, its configuration.
    Local,
}

/// A failed exchange with a registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The registry answered with an error of its API: the first of the list it sent.
    #[error("{}: {message}", code.to_lowercase().replace('_', " "))]
    Refused { status: u16, code: String, message: String, retry_after: Option<Duration> },
    /// The registry answered with a status and nothing that explains it.
    #[error("received unexpected HTTP status: {status} {text}")]
    UnexpectedStatus { status: u16, text: &'static str, retry_after: Option<Duration> },
    /// No connection, or it broke off before the answer.
    #[error("{}: {cause}", asked(method, url))]
    Unreachable { method: Method, url: String, cause: String, cut: bool },
    /// The body of an answer broke off.
    #[error("{}: {cause}", asked(&Method::GET, url))]
    Cut { url: String, cause: String },
    /// The registry wants a user name and a password and there are none.
    #[error("{}: no basic auth credentials", asked(method, url))]
    NoCredentials { method: Method, url: String },
    /// No authorization could be had for a request.
    #[error("{}: {source}", asked(method, url))]
    Authorization { method: Method, url: String, source: Box<Self> },
    /// The registry did not take the credentials of a login.
    #[error("login attempt to {url} failed with status: {status} {text}")]
    Login { url: String, status: u16, text: &'static str },
    /// The registry breaks the protocol.
    #[error("{url}: {reason}")]
    Protocol { url: String, reason: String },
    /// A document of the registry does not parse.
    #[error("{source}")]
    Document { source: barge_oci::Error },
    /// Content is not what its name promises.
    #[error("{object}: {reason}")]
    Tampered { object: Digest, reason: String },
    /// An index has nothing for the platform.
    #[error("no matching manifest for {wanted} in the manifest list entries")]
    NoPlatform { wanted: Platform },
    /// The image is for another operating system.
    #[error("image operating system {os:?} cannot be used on this platform")]
    ForeignSystem { os: String },
    /// A manifest of the format that Docker gave up.
    #[error(
        "{name} has a manifest of the old version 2, schema 1, or Docker Image Format v1, support for which has been removed. \
         Suggest its author to upgrade the image to the OCI Format or to Docker Image manifest v2, schema 2"
    )]
    Schema1 { name: String },
    /// A manifest of something that is no image.
    #[error("Encountered remote {media_type:?}(unknown) when fetching")]
    NotAnImage { media_type: String },
    /// `X-Registry-Auth` is not the base64 of a JSON document.
    #[error("invalid X-Registry-Auth header: {reason}")]
    Credentials { reason: String },
    /// What was given as a registry's address is none.
    #[error("invalid registry endpoint {address}: {reason}")]
    Address { address: String, reason: String },
    /// A certificate or key in a `certs.d` directory can't be used.
    #[error("{path}: {reason}")]
    Certificate { path: String, reason: String },
    /// The TLS or HTTP machinery could not be set up.
    #[error("setting up the connection to {authority}: {reason}")]
    Setup { authority: String, reason: String },
    /// The local store failed.
    #[error("{doing}: {source}")]
    Store { doing: &'static str, source: barge_store::Error },
    /// Reading or writing here failed.
    #[error("{doing}: {source}")]
    Disk { doing: &'static str, source: std::io::Error },
    /// A worker of this operation was stopped or panicked.
    #[error("{doing} was interrupted")]
    Interrupted { doing: &'static str },
}

impl Error {
    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Refused { status, code, .. } => kind_of_refusal(*status, code),
            Self::UnexpectedStatus { status, .. } => kind_of_refusal(*status, ""),
            Self::Unreachable { .. } | Self::Cut { .. } => Kind::Unreachable,
            Self::NoCredentials { .. } | Self::Login { .. } => Kind::Unauthorized,
            Self::Authorization { source, .. } => source.kind(),
            Self::Tampered { .. } => Kind::Tampered,
            Self::NoPlatform { .. } => Kind::NotFound,
            Self::Protocol { .. }
            | Self::Document { .. }
            | Self::ForeignSystem { .. }
            | Self::Schema1 { .. }
            | Self::NotAnImage { .. } => Kind::Unsupported,
            Self::Credentials { .. } | Self::Address { .. } => Kind::Invalid,
            Self::Certificate { .. }
            | Self::Setup { .. }
            | Self::Store { .. }
            | Self::Disk { .. }
            | Self::Interrupted { .. } => Kind::Local,
        }
    }

    /// The registry's own code, as `MANIFEST_UNKNOWN`, if it sent one.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// True if the same request may well succeed a little later.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } | Self::UnexpectedStatus { status, .. } => {
                matches!(status, 408 | 429 | 500..)
            }
            Self::Unreachable { cut, .. } => *cut,
            Self::Cut { .. } => true,
            Self::Authorization { source, .. } => source.is_transient(),
            _ => false,
        }
    }

    /// How long the registry asked to be left alone.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } | Self::UnexpectedStatus { retry_after, .. } => *retry_after,
            Self::Authorization { source, .. } => source.retry_after(),
            _ => None,
        }
    }
}

fn kind_of_refusal(status: u16, code: &str) -> Kind {
    match (code, status) {
        ("UNAUTHORIZED", _) => Kind::Unauthorized,
        ("DENIED", _) => Kind::Denied,
        ("TOOMANYREQUESTS", _) => Kind::TooManyRequests,
        ("MANIFEST_UNKNOWN" | "NAME_UNKNOWN" | "BLOB_UNKNOWN", _) => Kind::NotFound,
        ("UNSUPPORTED", _) => Kind::Unsupported,
        (_, 401) => Kind::Unauthorized,
        (_, 403) => Kind::Denied,
        (_, 404) => Kind::NotFound,
        (_, 429) => Kind::TooManyRequests,
        (_, 400..=499) => Kind::Invalid,
        _ => Kind::Unreachable,
    }
}

/// `Get "https://…"`, as Go's HTTP client names a request in its errors.
fn asked(method: &Method, url: &str) -> String {
    let name = method.as_str();
    let (first, rest) = name.split_at(1.min(name.len()));
    format!("{first}{} {url:?}", rest.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str, message: &str) -> Error {
        Error::Refused { status, code: code.to_owned(), message: message.to_owned(), retry_after: None }
    }

    #[test]
    fn texts_and_kinds_are_those_of_docker() {
        let table = [
            (
                refused(404, "MANIFEST_UNKNOWN", "manifest unknown"),
                "manifest unknown: manifest unknown",
                Kind::NotFound,
            ),
            (
                refused(401, "DENIED", "requested access to the resource is denied"),
                "denied: requested access to the resource is denied",
                Kind::Denied,
            ),
            (
                Error::Unreachable {
                    method: Method::GET,
                    url: "https://r.example/v2/".to_owned(),
                    cause: "dial tcp 127.0.0.1:1: connect: connection refused".to_owned(),
                    cut: false,
                },
                r#"Get "https://r.example/v2/": dial tcp 127.0.0.1:1: connect: connection refused"#,
                Kind::Unreachable,
            ),
            (
                Error::Authorization {
                    method: Method::GET,
                    url: "https://r.example/v2/".to_owned(),
                    source: Box::new(refused(401, "UNAUTHORIZED", "incorrect username or password")),
                },
                r#"Get "https://r.example/v2/": unauthorized: incorrect username or password"#,
                Kind::Unauthorized,
            ),
            (
                Error::NoCredentials { method: Method::HEAD, url: "http://r.example/v2/a".to_owned() },
                r#"Head "http://r.example/v2/a": no basic auth credentials"#,
                Kind::Unauthorized,
            ),
            (
                Error::UnexpectedStatus { status: 500, text: "Internal Server Error", retry_after: None },
                "received unexpected HTTP status: 500 Internal Server Error",
                Kind::Unreachable,
            ),
        ];
        for (error, text, kind) in table {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.kind(), kind, "{text}");
        }
    }
}
