//! What can be wrong with a word of the specifications. The texts are Docker's where Docker has one:
//! clients match on them.

/// Why a text or document is not what it claims to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not of the form `algorithm:hex`.
    #[error("invalid checksum digest format")]
    DigestFormat,
    /// An algorithm other than sha256.
    #[error("unsupported digest algorithm")]
    DigestAlgorithm,
    /// The hexadecimal part has the wrong length.
    #[error("invalid checksum digest length")]
    DigestLength,
    /// Not a reference at all.
    #[error("invalid reference format")]
    ReferenceFormat,
    /// Upper-case letters in the repository's path.
    #[error("invalid reference format: repository name ({path}) must be lowercase")]
    ReferenceUppercase {
        /// The offending path.
        path: String,
    },
    /// 64 hexadecimal digits, which would be taken for an image id.
    #[error("invalid repository name ({name}), cannot specify 64-byte hexadecimal strings")]
    ReferenceIsId {
        /// The name given.
        name: String,
    },
    /// The repository's name is too long.
    #[error("repository name must not be more than 255 characters")]
    ReferenceTooLong,
    /// Not `os[/arch[/variant]]`.
    #[error("{text:?} is an invalid OS component of platform specifier")]
    Platform {
        /// What was given.
        text: String,
    },
    /// The document is not JSON or lacks a field.
    #[error("invalid {what}: {reason}")]
    Document {
        /// `manifest`, `index`, `image config`.
        what: &'static str,
        /// The parser's words.
        reason: String,
    },
    /// A media type that Barge does not know.
    #[error("unsupported media type {media_type:?}")]
    MediaType {
        /// As found.
        media_type: String,
    },
    /// A document or a list in it is beyond the bounds.
    #[error("{what} is too large: {size} is more than {limit}")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How much there was.
        size: u64,
        /// How much is allowed.
        limit: u64,
    },
}
