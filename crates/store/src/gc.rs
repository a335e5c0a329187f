//! Takes away what nothing names.

use crate::Store;
use crate::error::Result;

/// Keeps everything in the store while it is held: taken before the first look whether some content is
/// here, kept until the image that needs it is recorded.
#[derive(Debug)]
#[must_use]
pub struct Lease {
    _store: Store,
}

/// What a collection freed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Blobs removed.
    pub blobs: u64,
    /// Layers removed.
    pub layers: u64,
    /// Their bytes, about.
    pub bytes: u64,
}

impl Store {
    /// Keeps everything in the store until dropped.
    pub fn lease(&self) -> Lease {
        todo!()
    }

    /// Removes blobs, layers and old partial downloads that no image and no snapshot needs. While a
    /// lease is held it does nothing now and is done when the last one is dropped.
    ///
    /// # Errors
    /// Fails if something cannot be removed; the rest is.
    pub fn collect_garbage(&self) -> Result<Reclaimed> {
        todo!()
    }
}
