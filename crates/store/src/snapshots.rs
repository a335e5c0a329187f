//! Writable views on top of layers, one for each container: what a container has as its root.
//!
//! ```text
//! overlay/containers/<key>/
//!   upper/          what the container wrote      ┐ the container's own mount namespace
//!   work/           the kernel's scratch place    ┘ mounts them over the layers
//!   snapshot.json   which layers (chain ids)
//! ```
//!
//! Nothing is mounted here but detached mounts that go with their descriptor. The trait has one implementation,
//! overlay; file systems that copy or clone would be others.

pub(crate) mod overlay;

use crate::error::{Error, Result};
use barge_oci::Digest;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Makes and keeps the root file systems of containers.
pub trait Snapshotter: Send + Sync {
    /// Makes an empty writable view on the layers with these *chain ids* (base first, as [`Image::chain`](crate::Image)).
    ///
    /// # Errors
    /// Fails if the key is taken or a layer is missing.
    fn prepare(&self, key: &str, chain: &[Digest]) -> Result<Snapshot>;
    /// The view made by an earlier [`Snapshotter::prepare`].
    ///
    /// # Errors
    /// [`Error::SnapshotNotFound`] if there is none.
    fn open(&self, key: &str) -> Result<Snapshot>;
    /// Removes the view and all that was written to it. It must not be mounted. No error if there is none.
    ///
    /// # Errors
    /// Fails if something in it cannot be removed.
    fn remove(&self, key: &str) -> Result<()>;
    /// How many bytes were written to the view.
    ///
    /// # Errors
    /// Fails if there is none.
    fn usage(&self, key: &str) -> Result<u64>;
    /// The keys of all views.
    fn list(&self) -> Vec<String>;
}

/// The directories that make up one container's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose it is.
    pub key: String,
    /// The read-only layers, topmost first; never empty.
    pub lower: Vec<PathBuf>,
    /// What the container writes.
    pub upper: PathBuf,
    /// The kernel's own.
    pub work: PathBuf,
}

impl Snapshot {
    /// Mounts the view without attaching it anywhere: it is gone when the descriptor is closed.
    ///
    /// # Errors
    /// Fails if the kernel refuses.
    pub fn mount_detached(&self) -> Result<OwnedFd> {
        barge_sys::overlay::mount_detached(&self.lower, &self.upper, &self.work, &[])
            .map_err(|source| Error::SnapshotMount { key: self.key.clone(), source })
    }
}
