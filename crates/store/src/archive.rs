//! Images as one tar: save, load, import.

use crate::error::Result;
use crate::{Image, ImageId, Store};
use barge_oci::{ImageConfig, Reference};
use std::io::{Read, Write};

/// One image found in a loaded archive.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The image.
    pub image: ImageId,
    /// The names it got; none: "Loaded image ID: …".
    pub names: Vec<Reference>,
}

/// What becomes the config of an imported file system.
#[derive(Debug, Clone, Default)]
pub struct Import {
    /// Everything but the layers and the history, which the import fills in.
    pub config: ImageConfig,
    /// The history's `comment`: Docker writes "Imported from -".
    pub comment: String,
    /// The name it gets.
    pub reference: Option<Reference>,
}

impl Store {
    /// Writes the named images (names, ids or bare repositories) as one tar: an OCI layout with Docker's `manifest.json`.
    ///
    /// # Errors
    /// Fails if a name is unknown or the writer fails.
    pub fn save(&self, names: &[String], writer: impl Write) -> Result<()> {
        let _ = (names, writer);
        todo!()
    }

    /// Takes in all images of an archive made by `save`: Docker's (old and new) or an OCI layout.
    /// `progress` is told how many bytes of `reader` have been used so far.
    ///
    /// # Errors
    /// Fails if the archive is not valid; images before the failure may have been taken in.
    pub fn load(&self, reader: impl Read, progress: &dyn Fn(u64)) -> Result<Vec<Loaded>> {
        let _ = (reader, progress);
        todo!()
    }

    /// Makes an image with one layer from a tar of a root file system (plain or compressed).
    ///
    /// # Errors
    /// Fails if the tar is not valid or cannot be written.
    pub fn import(&self, reader: impl Read, import: Import) -> Result<Image> {
        let _ = (reader, import);
        todo!()
    }
}
