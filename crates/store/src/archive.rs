//! Images as one tar: save, load, import.
//!
//! ```text
//! blobs/sha256/<hex>     manifests, configs, layers as they are stored
//! index.json oci-layout  makes it an OCI layout
//! manifest.json          makes it Docker's archive: [{ Config, RepoTags, Layers }]
//! ```
//!
//! Written as Docker 25 and later do, so that old and new readers find what they know. Read in both forms, and in
//! Docker's old one (`<id>/layer.tar`, symlinks between layers). An archive is hostile: no name in it is ever a
//! path on the disk.

mod load;
mod pack;
mod save;

pub use pack::Packed;

use crate::error::Result;
use crate::{Image, ImageId, Store};
use barge_oci::image_config::{History, RootFs};
use barge_oci::manifest::media_type;
use barge_oci::{Descriptor, Digest, ImageConfig, Manifest, Platform, Reference};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
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

/// One image in `manifest.json`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Entry {
    config: String,
    /// `null` for an image without names, as Docker writes it.
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

impl Store {
    /// Writes the named images (names, ids or bare repositories) as one tar: an OCI layout with Docker's `manifest.json`.
    ///
    /// # Errors
    /// Fails if a name is unknown or the writer fails.
    pub fn save(&self, names: &[String], writer: impl Write) -> Result<()> {
        let _lease = self.lease();
        save::save(self, names, writer)
    }

    /// Takes in all images of an archive made by `save`: Docker's (old and new) or an OCI layout, compressed or not.
    /// `progress` is told how many bytes of `reader` have been used so far.
    ///
    /// # Errors
    /// Fails if the archive is not valid; images before the failure may have been taken in.
    pub fn load(&self, reader: impl Read, progress: &dyn Fn(u64)) -> Result<Vec<Loaded>> {
        let lease = self.lease();
        let loaded = load::load(self, reader, progress);
        let released = lease.release();
        loaded.and_then(|loaded| released.map(|()| loaded))
    }

    /// Makes an image with one layer from a tar of a root file system (plain or compressed).
    ///
    /// # Errors
    /// Fails if the tar is not valid or cannot be written.
    pub fn import(&self, reader: impl Read, import: Import) -> Result<Image> {
        let lease = self.lease();
        let image = self.import_leased(reader, import);
        let released = lease.release();
        image.and_then(|image| released.map(|()| image))
    }

    fn import_leased(&self, reader: impl Read, import: Import) -> Result<Image> {
        let layer = self.pack(reader)?;
        self.collector().consider_blobs([layer.descriptor.digest]);
        self.collector().consider_layers([layer.diff_id]);
        let mut config = import.config;
        let now = Timestamp::now();
        config.created = Some(now);
        if config.os.is_empty() {
            let host = Platform::host();
            (config.os, config.architecture, config.variant) = (host.os, host.architecture, host.variant);
        }
        config.rootfs = RootFs { kind: "layers".to_owned(), diff_ids: vec![layer.diff_id] };
        config.history = vec![History { created: Some(now), comment: import.comment, ..History::default() }];
        self.apply_packed(&layer, &[layer.diff_id])?;
        self.create_image(&config, vec![layer.descriptor], import.reference.as_ref())
    }

    /// Applies a layer that was packed here, on top of the diff ids before it in `chain`.
    ///
    /// # Errors
    /// As [`Layers::apply`](crate::Layers::apply).
    pub fn apply_packed(&self, layer: &Packed, chain: &[Digest]) -> Result<()> {
        let blob = self.blobs().open(&layer.descriptor.digest)?;
        self.layers().apply(blob, &layer.descriptor.media_type, &layer.diff_id, chain, &|_| {})
    }

    /// Records an image that was made here: `layers` are stored and applied, `config` names their diff ids. The
    /// caller holds a lease.
    ///
    /// # Errors
    /// Fails if config and layers do not fit or cannot be written.
    pub fn create_image(
        &self,
        config: &ImageConfig,
        layers: Vec<Descriptor>,
        reference: Option<&Reference>,
    ) -> Result<Image> {
        self.record_made(&config.to_bytes()?, layers, reference)
    }

    /// Makes a manifest for a config and layers, and records the image.
    fn record_made(
        &self,
        config: &[u8],
        layers: Vec<Descriptor>,
        reference: Option<&Reference>,
    ) -> Result<Image> {
        let manifest = Manifest::build(Descriptor::of(media_type::OCI_CONFIG, config), layers)?;
        let blobs = [self.blobs().put(config)?, self.blobs().put(&manifest)?];
        self.collector().consider_blobs(blobs);
        self.images().record(&blobs[1], reference, None)
    }
}
