//! The engine's one error: a kind, which the daemon turns into a status code, and Docker's wording.
//!
//! Clients match on the texts, so a message is written where the request is refused, word for word as dockerd has
//! it; what the floors below report is appended to it, never shown alone.

use std::fmt::Display;

/// `Result` with the engine's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure it is, from the client's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The object named does not exist.
    NotFound,
    /// The request can never succeed as it is.
    InvalidParameter,
    /// The object's present state forbids it.
    Conflict,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// Understood and refused.
    Forbidden,
    /// Part of the API, not of this engine.
    NotImplemented,
    /// Already as asked for; answered without a body.
    NotModified,
    /// Cannot be done now, perhaps later.
    Unavailable,
    /// The host or the engine failed.
    System,
}

/// A failed request.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: Kind,
    message: String,
}

impl Error {
    /// An error of a kind computed elsewhere.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The object named does not exist.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// The request can never succeed as it is.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidParameter, message)
    }

    /// The object's present state forbids it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }

    /// Understood and refused.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    /// Part of the API, not of this engine.
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(Kind::NotImplemented, message)
    }

    /// Already as asked for.
    pub fn not_modified(message: impl Into<String>) -> Self {
        Self::new(Kind::NotModified, message)
    }

    /// The host or the engine failed.
    pub fn system(message: impl Into<String>) -> Self {
        Self::new(Kind::System, message)
    }

    /// A function for `map_err`: a [`Kind::System`] error that reads `what: cause`.
    pub fn failed<E: Display>(what: impl Display) -> impl FnOnce(E) -> Self {
        move |cause| Self::system(format!("{what}: {cause}"))
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text the client gets.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same error with words in front of its text.
    #[must_use]
    pub fn within(mut self, what: impl Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}
