//! One data root, opened.

use crate::error::Result;
use crate::{Blobs, Images, Layers, Snapshotter};
use std::path::Path;
use std::sync::Arc;

/// The images and snapshots under one data root.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    blobs: Blobs,
    layers: Layers,
    images: Images,
}

impl Store {
    /// Opens (and makes) the store under `data_root`, cleans what a crash has left, reads the images.
    ///
    /// # Errors
    /// Fails if the directories cannot be used or cannot hold overlay layers.
    pub fn open(data_root: &Path) -> Result<Self> {
        let _ = data_root;
        todo!()
    }

    /// Content by digest.
    pub fn blobs(&self) -> &Blobs {
        &self.0.blobs
    }

    /// Applied layers.
    pub fn layers(&self) -> &Layers {
        &self.0.layers
    }

    /// Images by name and id.
    pub fn images(&self) -> &Images {
        &self.0.images
    }

    /// The root file systems of containers.
    pub fn snapshots(&self) -> &dyn Snapshotter {
        todo!()
    }
}
