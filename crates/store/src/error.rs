//! What can go wrong in the store: each variant is an operation and its object.

use barge_oci::Digest;
use std::io;
use std::path::PathBuf;

/// The store's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or directory of the store could not be used.
    #[error("{operation} {path}: {source}", path = path.display())]
    File {
        /// What was tried: `open`, `rename`, …
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A document of the store is not readable.
    #[error("{path} is damaged: {reason}", path = path.display())]
    Document {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Another process has the store open.
    #[error("{path} is locked: another process uses this data root", path = path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The file system under the data root cannot carry overlay mounts.
    #[error("{path} cannot hold overlay layers: {source}", path = path.display())]
    OverlayUnsupported {
        /// The directory that was probed.
        path: PathBuf,
        /// The kernel's answer.
        source: io::Error,
    },
    /// There is no such blob.
    #[error("content {digest} not found")]
    BlobNotFound {
        /// Its name.
        digest: Digest,
    },
    /// A blob is larger than its reader can take.
    #[error("content {digest} is too large: {size} is more than {limit} bytes")]
    BlobTooLarge {
        /// Its name.
        digest: Digest,
        /// Its length in bytes.
        size: u64,
        /// The most that was allowed.
        limit: u64,
    },
    /// What came is not what the name says.
    #[error("unexpected digest: expected {expected}, got {actual}")]
    DigestMismatch {
        /// The name.
        expected: Digest,
        /// What the content hashes to.
        actual: Digest,
    },
    /// More or fewer bytes came than the descriptor said.
    #[error("unexpected size of {digest}: expected {expected} bytes, got {actual}")]
    SizeMismatch {
        /// The blob.
        digest: Digest,
        /// As the descriptor said.
        expected: u64,
        /// What came (at least).
        actual: u64,
    },
    /// The stream of a layer or archive could not be read.
    #[error("read {what}: {source}")]
    Read {
        /// What was read.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The stream that an archive goes to could not be written.
    #[error("write archive: {source}")]
    WriteArchive {
        /// Why not.
        source: io::Error,
    },
    /// A layer of a kind that cannot be applied.
    #[error("unsupported layer media type {media_type:?}")]
    LayerMediaType {
        /// As the manifest says.
        media_type: String,
    },
    /// A tar stream breaks its format or a bound.
    #[error("invalid tar header: {reason}")]
    TarHeader {
        /// In what way.
        reason: String,
    },
    /// An entry of a layer that must not or cannot be applied.
    #[error("invalid layer entry {name:?}: {reason}")]
    LayerEntry {
        /// The entry's name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// An entry of a layer could not be written.
    #[error("failed to extract {name:?}: {source}")]
    Extract {
        /// The entry's name.
        name: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A layer is needed that was never applied.
    #[error("layer {chain_id} not found")]
    LayerNotFound {
        /// Its chain id.
        chain_id: Digest,
    },
    /// The thread that wrote a layer died.
    #[error("the extraction of layer {diff_id} was aborted")]
    LayerAborted {
        /// The layer.
        diff_id: Digest,
    },
    /// No image has this name or id.
    #[error("No such image: {name}")]
    ImageNotFound {
        /// As asked for.
        name: String,
    },
    /// Several images' ids begin so.
    #[error("ambiguous reference: {name} matches several images")]
    ImageAmbiguous {
        /// As asked for.
        name: String,
    },
    /// A manifest that is no image that can be run.
    #[error("invalid image {digest}: {reason}")]
    ImageInvalid {
        /// The manifest.
        digest: Digest,
        /// What is wrong.
        reason: String,
    },
    /// A word of the specifications that is wrong.
    #[error(transparent)]
    Oci(#[from] barge_oci::Error),
    /// An archive that is not one of images.
    #[error("invalid archive: {reason}")]
    Archive {
        /// In what way.
        reason: String,
    },
    /// A snapshot of that key is there already.
    #[error("snapshot {key} already exists")]
    SnapshotExists {
        /// The key.
        key: String,
    },
    /// No snapshot has that key.
    #[error("snapshot {key} not found")]
    SnapshotNotFound {
        /// The key.
        key: String,
    },
    /// A key that cannot be a directory's name.
    #[error("invalid snapshot key {key:?}")]
    SnapshotKey {
        /// The key.
        key: String,
    },
    /// The overlay could not be mounted.
    #[error("mount overlay of {key}: {source}")]
    SnapshotMount {
        /// The snapshot.
        key: String,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl Error {
    /// Whether the disk is full (or a quota is used up).
    pub fn is_no_space(&self) -> bool {
        let source = match self {
            Self::File { source, .. }
            | Self::Extract { source, .. }
            | Self::Read { source, .. }
            | Self::WriteArchive { source } => source,
            _ => return false,
        };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(
            self,
            Self::BlobNotFound { .. }
                | Self::LayerNotFound { .. }
                | Self::ImageNotFound { .. }
                | Self::SnapshotNotFound { .. }
        )
    }

    /// Whether content is not what it was said to be: it was damaged or tampered with.
    pub fn is_tampered(&self) -> bool {
        matches!(self, Self::DigestMismatch { .. } | Self::SizeMismatch { .. })
    }
}

/// Names the operation and its path in the error of a system call.
pub(crate) trait OnFile<T> {
    fn on(self, operation: &'static str, path: impl Into<PathBuf>) -> Result<T>;
}

impl<T, E: Into<io::Error>> OnFile<T> for std::result::Result<T, E> {
    fn on(self, operation: &'static str, path: impl Into<PathBuf>) -> Result<T> {
        self.map_err(|source| Error::File { operation, path: path.into(), source: source.into() })
    }
}
