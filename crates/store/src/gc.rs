//! Takes away what nothing names.
//!
//! ```text
//! images (index.json) ─> manifest, index, config, layer blobs; layers by chain id
//! snapshots           ─> layers by chain id
//! ```
//!
//! What an image or container that goes was the last to use, goes with it. What nothing ever named (an interrupted
//! pull) is kept for a while, because the next try of that pull can use it. While a [`Lease`] is held nothing goes:
//! it is remembered and looked at again when the last lease is dropped. Content is first renamed out of its place,
//! under the lock that leases take, and removed after that lock is released.

use crate::Store;
use crate::area::Area;
use crate::blobs::Blobs;
use crate::error::{OnFile, Result};
use crate::images::index::{Index, Record};
use crate::layers::Layers;
use crate::snapshots::overlay::Chains;
use crate::tree;
use barge_oci::Digest;
use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

/// How long content that nothing names is kept for a pull that might be tried again.
pub const ORPHAN_AGE: Duration = Duration::from_secs(24 * 3600);

/// What a collection freed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reclaimed {
    /// Blobs removed.
    pub blobs: Vec<Digest>,
    /// Layers removed (chain ids).
    pub layers: Vec<Digest>,
    /// The bytes of those blobs and of the layers' files.
    pub bytes: u64,
}

/// Keeps everything in the store while it is held: taken before the first look whether some content is
/// here, kept until the image that needs it is recorded.
#[derive(Debug)]
#[must_use]
pub struct Lease {
    collector: Arc<Collector>,
    ended: bool,
}

/// Knows what is in use, and removes the rest.
#[derive(Debug)]
pub(crate) struct Collector {
    index: Arc<Index>,
    blobs: Blobs,
    layers: Layers,
    area: Arc<Area>,
    chains: Arc<Chains>,
    state: Mutex<State>,
    /// Removes what a lease kept, so that dropping one does not take long.
    background: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct State {
    leases: usize,
    /// What was given up while leases were held.
    blobs: BTreeSet<Digest>,
    layers: BTreeSet<Digest>,
}

/// Content out of its place, still to be removed.
#[derive(Debug, Default)]
struct Swept {
    reclaimed: Reclaimed,
    files: Vec<PathBuf>,
    trees: Vec<PathBuf>,
}

impl Store {
    /// Keeps everything in the store until dropped.
    pub fn lease(&self) -> Lease {
        self.collector().hold()
    }

    /// Removes all blobs, layers and partial downloads that no image and no snapshot needs and that have not
    /// been touched for `min_age` (see [`ORPHAN_AGE`]). While a lease is held it does nothing.
    ///
    /// # Errors
    /// Fails if something cannot be removed; the rest is.
    pub fn collect_garbage(&self, min_age: Duration) -> Result<Reclaimed> {
        self.collector().collect(min_age)
    }
}

impl Collector {
    pub(crate) fn new(
        index: Arc<Index>,
        blobs: Blobs,
        layers: Layers,
        area: Arc<Area>,
        chains: Arc<Chains>,
    ) -> Self {
        let (state, background) = Default::default();
        Self { index, blobs, layers, area, chains, state, background }
    }

    pub(crate) fn hold(self: &Arc<Self>) -> Lease {
        self.state().leases += 1;
        Lease { collector: Arc::clone(self), ended: false }
    }

    /// Has blobs removed, unless something uses them by the time no lease is held.
    pub(crate) fn consider_blobs(&self, blobs: impl IntoIterator<Item = Digest>) {
        self.state().blobs.extend(blobs);
    }

    /// Has layers (chain ids) removed, unless something uses them by the time no lease is held.
    pub(crate) fn consider_layers(&self, layers: impl IntoIterator<Item = Digest>) {
        self.state().layers.extend(layers);
    }

    /// Removes what only the images that are gone have used. Gives the layers, topmost first.
    pub(crate) fn forget(&self, gone: impl Iterator<Item = Record>) -> Result<Vec<Digest>> {
        let mut state = self.state();
        let mut order = Vec::new();
        for record in gone {
            let indexes = record.names.digests.iter().filter_map(|name| name.digest().copied());
            state.blobs.extend(record.blobs.iter().copied().chain(indexes));
            state.layers.extend(&record.chain);
            order.extend(record.chain.iter().rev().copied());
        }
        let reclaimed = self.sweep(state)?.remove()?;
        order.retain(|chain_id| reclaimed.layers.contains(chain_id));
        Ok(order)
    }

    /// Removes the layers that only a snapshot that is gone has used.
    pub(crate) fn release(&self, chain: Vec<Digest>) -> Result<()> {
        let records = self.index.records();
        if records.values().any(|record| record.chain.starts_with(&chain)) {
            return Ok(());
        }
        let mut state = self.state();
        state.layers.extend(chain);
        self.sweep(state)?.remove().map(drop)
    }

    fn collect(&self, min_age: Duration) -> Result<Reclaimed> {
        let mut state = self.state();
        if state.leases > 0 {
            return Ok(Reclaimed::default());
        }
        let limit = SystemTime::now().checked_sub(min_age).unwrap_or(SystemTime::UNIX_EPOCH);
        state.blobs.extend(self.orphaned_blobs(limit)?);
        state.layers.extend(self.orphaned_layers(limit)?);
        let mut swept = self.sweep(state)?;
        swept.files.extend(self.stale_downloads(limit)?);
        swept.remove()
    }

    /// Moves out of its place what was given up and is not in use. Does nothing while leases are held.
    fn sweep(&self, mut state: MutexGuard<'_, State>) -> Result<Swept> {
        let mut swept = Swept::default();
        if state.leases > 0 || state.blobs.is_empty() && state.layers.is_empty() {
            return Ok(swept);
        }
        let (used_blobs, used_layers) = self.in_use();
        for digest in std::mem::take(&mut state.blobs).difference(&used_blobs) {
            let Ok(size) = self.blobs.size(digest) else { continue };
            swept.files.push(self.blobs.discard(digest)?);
            swept.reclaimed.blobs.push(*digest);
            swept.reclaimed.bytes += size;
        }
        for chain_id in std::mem::take(&mut state.layers).difference(&used_layers) {
            if self.layers.is_busy(chain_id) {
                continue;
            }
            let size = self.layers.size(chain_id).unwrap_or_default();
            if let Some(path) = self.layers.discard(chain_id)? {
                swept.trees.push(path);
                swept.reclaimed.layers.push(*chain_id);
                swept.reclaimed.bytes += size;
            }
        }
        Ok(swept)
    }

    fn in_use(&self) -> (BTreeSet<Digest>, BTreeSet<Digest>) {
        let (mut blobs, mut layers) = (BTreeSet::new(), BTreeSet::new());
        for record in self.index.records().values() {
            blobs.extend(&record.blobs);
            blobs.extend(record.names.digests.iter().filter_map(|name| name.digest()));
            layers.extend(&record.chain);
        }
        blobs.extend(self.index.left_out());
        layers.extend(self.chains.lock().values().flatten());
        (blobs, layers)
    }

    fn orphaned_blobs(&self, limit: SystemTime) -> Result<Vec<Digest>> {
        let old = files_before(self.blobs.blob_directory().to_owned(), limit)?;
        Ok(old.iter().filter_map(|path| Digest::from_hex(path.file_name()?.to_str()?).ok()).collect())
    }

    fn orphaned_layers(&self, limit: SystemTime) -> Result<Vec<Digest>> {
        let old: HashSet<PathBuf> = files_before(self.area.layers(), limit)?.into_iter().collect();
        let is_old = |chain_id: &Digest| old.contains(&self.area.layers().join(chain_id.hex()));
        Ok(self.layers.list()?.into_iter().filter(is_old).collect())
    }

    /// Partial downloads that nobody has gone on with.
    fn stale_downloads(&self, limit: SystemTime) -> Result<Vec<PathBuf>> {
        let mut stale = files_before(self.blobs.ingest_directory().to_owned(), limit)?;
        stale.retain(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            Digest::from_hex(name).is_ok_and(|digest| !self.blobs.is_busy(&digest))
        });
        Ok(stale)
    }

    // Counts and sets are right after any panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// As dropping it, but waits until what was given up meanwhile has been removed.
    ///
    /// # Errors
    /// Fails if something cannot be removed; it is when the store is opened the next time.
    pub fn release(mut self) -> Result<()> {
        self.ended = true;
        self.end()?.remove().map(drop)
    }

    fn end(&self) -> Result<Swept> {
        let mut state = self.collector.state();
        state.leases -= 1;
        self.collector.sweep(state)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let swept = match self.end() {
            Ok(swept) if swept.is_empty() => return,
            Ok(swept) => swept,
            Err(error) => return tracing::warn!(%error, "unused content stays behind"),
        };
        let thread = std::thread::Builder::new().name("gc".to_owned()).spawn(move || {
            if let Err(error) = swept.remove() {
                tracing::warn!(%error, "unused content stays behind");
            }
        });
        let mut background = self.collector.background.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(thread) = thread
            && let Some(before) = background.replace(thread)
        {
            let _ = before.join();
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let background = self.background.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = background.take() {
            let _ = thread.join();
        }
    }
}

impl Swept {
    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.trees.is_empty()
    }

    fn remove(self) -> Result<Reclaimed> {
        let mut failure = Ok(());
        for path in self.files.iter().chain(&self.trees) {
            failure = failure.and(tree::remove_path(path));
        }
        failure.map(|()| self.reclaimed)
    }
}

/// What lies in a directory and was last changed before `limit`.
fn files_before(directory: PathBuf, limit: SystemTime) -> Result<Vec<PathBuf>> {
    let mut old = Vec::new();
    for entry in fs::read_dir(&directory).on("read", &directory)? {
        let entry = entry.on("read", &directory)?;
        // Gone meanwhile: not ours to remove.
        let Ok(modified) = entry.metadata().and_then(|metadata| metadata.modified()) else { continue };
        if modified <= limit {
            old.push(entry.path());
        }
    }
    Ok(old)
}
