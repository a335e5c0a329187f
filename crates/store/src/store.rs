//! One data root, opened.

use crate::area::Area;
use crate::document::{self, Durability};
use crate::error::{Error, OnFile, Result};
use crate::gc::{Collector, ORPHAN_AGE};
use crate::images::index::Index;
use crate::snapshots::overlay::{self, Overlay};
use crate::{Blobs, Images, Layers, Snapshotter};
use rustix::fs::FlockOperation;
use rustix::io::Errno;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

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
    /// Held as long as the store is open; the kernel lets go of it however the process ends.
    _lock: File,
}

/// How often a lock that another process holds is tried, and how long to wait in between: a daemon that is about
/// to end, or a child of it between fork and exec, may hold it for a moment.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

impl Store {
    /// Opens (and makes) the store under `data_root`, cleans what a crash has left, reads the images.
    ///
    /// # Errors
    /// Fails if the directories cannot be used or cannot hold overlay layers, or if another process has them open.
    pub fn open(data_root: &Path) -> Result<Self> {
        let layout = data_root.join("image");
        fs::create_dir_all(&layout).on("create", &layout)?;
        let lock = lock(&layout.join(".lock"))?;
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
        let store = Self(Arc::new(Inner { blobs, layers, images, snapshots, collector, _lock: lock }));
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

fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).on("create", path)?;
    for _ in 0..LOCK_TRIES {
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => std::thread::sleep(LOCK_PAUSE),
            result => return result.on("lock", path).map(|()| file),
        }
    }
    Err(Error::Locked { path: path.to_owned() })
}
