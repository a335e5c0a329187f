//! Snapshots by the kernel's overlay file system.
//!
//! Order of writes: `upper`, `work` and the document are made in staging and get their place by one rename. Nothing
//! is synced: a container's layer that a power cut takes belongs to a container that it has stopped anyway. Removal
//! renames to trash first, so a key is free at once and never half removed.

use super::{Snapshot, Snapshotter};
use crate::area::Area;
use crate::document;
use crate::error::{Error, OnFile, Result};
use crate::gc::Collector;
use crate::layers::Layers;
use crate::tree;
use barge_oci::Digest;
use rustix::fs::{AtFlags, Mode, Timestamps};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest key: it is a directory's name.
const MAX_KEY: usize = 200;

/// Which layers each snapshot stands on, by key.
#[derive(Debug, Default)]
pub(crate) struct Chains(Mutex<BTreeMap<String, Vec<Digest>>>);

impl Chains {
    // A map of keys is right after any panic.
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Digest>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The overlay snapshots of one data root.
#[derive(Debug)]
pub(crate) struct Overlay {
    area: Arc<Area>,
    layers: Layers,
    chains: Arc<Chains>,
    collector: Arc<Collector>,
}

/// `snapshot.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    chain: Vec<Digest>,
}

const VERSION: u32 = 1;

impl Overlay {
    pub(crate) fn new(
        area: Arc<Area>,
        layers: Layers,
        chains: Arc<Chains>,
        collector: Arc<Collector>,
    ) -> Self {
        Self { area, layers, chains, collector }
    }

    fn directory(&self, key: &str) -> Result<PathBuf> {
        let valid = (1..=MAX_KEY).contains(&key.len())
            && !key.starts_with('.')
            && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if !valid {
            return Err(Error::SnapshotKey { key: key.to_owned() });
        }
        Ok(self.area.containers().join(key))
    }

    fn snapshot(&self, key: &str, chain: &[Digest]) -> Result<Snapshot> {
        let directory = self.directory(key)?;
        let mut lower = self.layers.directories(chain)?;
        if lower.is_empty() {
            // An image without layers: overlay wants at least one.
            lower.push(self.area.empty()?);
        }
        Ok(Snapshot {
            key: key.to_owned(),
            lower,
            upper: directory.join("upper"),
            work: directory.join("work"),
        })
    }
}

impl Snapshotter for Overlay {
    fn prepare(&self, key: &str, chain: &[Digest]) -> Result<Snapshot> {
        let place = self.directory(key)?;
        // No layer may be collected between the look at it and the snapshot that needs it.
        let _lease = self.collector.hold();
        let snapshot = self.snapshot(key, chain)?;
        self.layers.settle(chain)?;
        let staged = self.area.stage()?;
        let upper = staged.path().join("upper");
        for directory in [&upper, &staged.path().join("work")] {
            fs::create_dir(directory).on("create", directory)?;
        }
        copy_root(&snapshot.lower[0], &upper).on("set the owner of", &upper)?;
        let document = Document { version: VERSION, chain: chain.to_owned() };
        document::create(&staged.path().join("snapshot.json"), &document)?;
        let mut chains = self.chains.lock();
        match staged.publish(&place) {
            Err(e) if matches!(e.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists) => {
                return Err(Error::SnapshotExists { key: key.to_owned() });
            }
            other => other.on("rename to", &place)?,
        }
        chains.insert(key.to_owned(), chain.to_owned());
        Ok(snapshot)
    }

    fn open(&self, key: &str) -> Result<Snapshot> {
        let chain = self.chains.lock().get(key).cloned();
        let chain = chain.ok_or_else(|| Error::SnapshotNotFound { key: key.to_owned() })?;
        self.snapshot(key, &chain)
    }

    fn remove(&self, key: &str) -> Result<()> {
        let discarded = self.area.discard(&self.directory(key)?)?;
        let chain = self.chains.lock().remove(key);
        if let Some(path) = discarded {
            tree::remove_path(&path)?;
        }
        match chain {
            Some(chain) => self.collector.release(chain),
            None => Ok(()),
        }
    }

    fn usage(&self, key: &str) -> Result<u64> {
        tree::usage(&self.open(key)?.upper)
    }

    fn list(&self) -> Vec<String> {
        self.chains.lock().keys().cloned().collect()
    }
}

/// The merged root has the attributes of the topmost directory: those of the image, not ours.
fn copy_root(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (File::open(from)?, File::open(to)?);
    let metadata = from.metadata()?;
    let stat = rustix::fs::fstat(&from)?;
    rustix::fs::fchown(
        &to,
        Some(rustix::fs::Uid::from_raw(metadata.uid())),
        Some(rustix::fs::Gid::from_raw(metadata.gid())),
    )?;
    rustix::fs::fchmod(&to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    for (name, value) in crate::xattrs::read(&from)? {
        rustix::fs::fsetxattr(&to, &*name, &value, rustix::fs::XattrFlags::empty())?;
    }
    let time = |tv_sec, tv_nsec| rustix::fs::Timespec { tv_sec, tv_nsec };
    let times = Timestamps {
        last_access: time(metadata.atime(), metadata.atime_nsec()),
        last_modification: time(metadata.mtime(), metadata.mtime_nsec()),
    };
    Ok(rustix::fs::futimens(&to, &times)?)
}

/// Reads which layers the snapshots that are there stand on. One without a readable document is left alone.
pub(crate) fn load_chains(area: &Area) -> Result<Chains> {
    let containers = area.containers();
    let chains = Chains::default();
    for entry in fs::read_dir(&containers).on("read", &containers)? {
        let entry = entry.on("read", &containers)?;
        let Ok(key) = entry.file_name().into_string() else { continue };
        match document::load::<Document>(&entry.path().join("snapshot.json")) {
            Ok(Some(document)) => {
                chains.lock().insert(key, document.chain);
            }
            Ok(None) => tracing::warn!(key, "snapshot without a document"),
            Err(error) => tracing::warn!(key, %error, "snapshot left out"),
        }
    }
    Ok(chains)
}

/// Tries what layers need of the file system under `area`: an overlay mount with whiteouts and attributes.
pub(crate) fn probe(area: &Area) -> Result<()> {
    let staged = area.stage()?;
    let unsupported = |source| Error::OverlayUnsupported { path: area.root().to_owned(), source };
    let [lower, upper, work] = ["lower", "upper", "work"].map(|name| staged.path().join(name));
    for directory in [&lower, &upper, &work] {
        fs::create_dir(directory).on("create", directory)?;
    }
    let directory = File::open(&lower).on("open", &lower)?;
    let mark = rustix::fs::XattrFlags::empty();
    rustix::fs::fsetxattr(&directory, "trusted.overlay.opaque", b"y", mark)
        .map_err(|e| unsupported(e.into()))?;
    let mount = barge_sys::overlay::mount_detached(&[&lower], &upper, &work, &[]).map_err(unsupported)?;
    rustix::fs::mkdirat(&mount, "probe", Mode::from_raw_mode(0o700)).map_err(|e| unsupported(e.into()))?;
    rustix::fs::statat(&mount, "probe", AtFlags::empty()).map_err(|e| unsupported(e.into()))?;
    Ok(())
}
