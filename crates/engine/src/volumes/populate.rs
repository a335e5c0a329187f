//! What an image has at a mount point, copied into an empty volume at its first use.

use std::os::fd::BorrowedFd;
use std::path::Path;

use super::{Acquired, Source, Volumes};
use crate::error::{Error, Result};

impl Volumes {
    /// Copies the directory `path` of a root filesystem into the volume, with owners, modes, times, extended
    /// attributes and links, unless the volume holds something already. `root` is the root directory, for example
    /// a detached mount of the container's snapshot. Where it has no such directory nothing is copied. Blocks.
    pub fn populate(&self, volume: &Acquired, root: BorrowedFd<'_>, path: &Path) -> Result<()> {
        if volume.source != Source::Directory {
            return Ok(());
        }
        let failed = format_args!("failed to copy {} of the image to volume {}", path.display(), volume.name);
        barge_store::copy::directory(root, path, &volume.path).map(drop).map_err(Error::failed(failed))
    }
}
