//! One data root, opened.

use crate::area::Area;
use crate::document::{self, Durability};
use crate::error::{OnFile, Result};
use crate::gc::{Collector, ORPHAN_AGE};
use crate::images::index::Index;
use crate::snapshots::overlay::{self, Overlay};
use crate::{Blobs, Images, Layers, Snapshotter};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// The images and snapshots under one data root. Only one process may have it open.
#[derive(Debug, Clone)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    blobs: Blobs,
    layers: Layers,
    images: Images,
    snapshots: Overlay,
    collector: Arc<Collector>,
}

impl Store {
    /// Opens (and makes) the store under `data_root`, cleans what a crash has left, reads the images.
    ///
    /// # Errors
    /// Fails if the directories cannot be used or cannot hold overlay layers.
    pub fn open(data_root: &Path) -> Result<Self> {
        let layout = data_root.join("image");
        fs::create_dir_all(&layout).on("create", &layout)?;
        let marker = layout.join("oci-layout");
        if !marker.is_file() {
            document::replace_bytes(&marker, br#"{"imageLayoutVersion":"1.0.0"}"#, Durability::PowerCut)?;
        }
        let area = Arc::new(Area::open(data_root.join("overlay"))?);
        overlay::probe(&area)?;
        let blobs = Blobs::at(&layout)?;
        let layers = Layers::at(Arc::clone(&area));
        let index = Arc::new(Index::open(layout, &blobs, &layers)?);
        let chains = Arc::new(overlay::load_chains(&area)?);
        let collector = Arc::new(Collector::new(
            Arc::clone(&index),
            blobs.clone(),
            layers.clone(),
            Arc::clone(&area),
            Arc::clone(&chains),
        ));
        let images = Images::new(index, blobs.clone(), layers.clone(), Arc::clone(&collector));
        let snapshots = Overlay::new(area, layers.clone(), chains, Arc::clone(&collector));
        let store = Self(Arc::new(Inner { blobs, layers, images, snapshots, collector }));
        store.collect_garbage(ORPHAN_AGE)?;
        Ok(store)
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
        &self.0.snapshots
    }

    pub(crate) fn collector(&self) -> &Arc<Collector> {
        &self.0.collector
    }
}
