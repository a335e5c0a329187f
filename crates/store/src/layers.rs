//! Layers applied: `overlay/layers/<chain id>/`, each extracted on its own.
//!
//! ```text
//! reader ─ decompress ─ hash ─┐ chunks              layers/<chain id>/
//!      (the caller's thread)  └──> tar ─ files        diff/        in overlay's format
//!                                (a second thread)    layer.json   diff id, size, what is unsettled
//! ```
//!
//! Order of writes: the directory is filled in staging; the diff id is compared; one rename publishes it. So after
//! a crash of the daemon a layer is there whole or not at all; `durable.rs` has the crash of the machine.
//!
//! Layers of one image need not be applied in order. What one needs of those below it is done as soon as they are
//! there, at the latest when the image is recorded: see `settle.rs`. Does not know images.

mod catalog;
pub(crate) mod codec;
mod deferred;
mod durable;
mod extract;
mod lower;
mod metadata;
mod pipe;
mod root;
mod settle;

use crate::area::Area;
use crate::error::{Error, OnFile, Result};
use barge_oci::{Digest, Hasher, chain_ids};
use catalog::Catalog;
use durable::Pending;
use extract::{Extracted, Extraction};
pub(crate) use lower::Lower as Below;
use root::Root;
pub(crate) use root::{is_opaque, is_whiteout};
use settle::Unsettled;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The applied layers of one data root.
#[derive(Debug, Clone)]
pub struct Layers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    catalog: Arc<Catalog>,
    pending: Pending,
}

impl Layers {
    pub(crate) fn at(area: Arc<Area>) -> Self {
        Self(Arc::new(Inner { catalog: Arc::new(Catalog::new(area)), pending: Pending::default() }))
    }

    /// Whether the layer with that chain id has been applied.
    pub fn contains(&self, chain_id: &Digest) -> bool {
        self.0.catalog.contains(chain_id)
    }

    /// Extracts one layer into its own directory.
    ///
    /// `reader` gives the blob's (compressed) bytes, `chain` are the diff ids of the image up to and
    /// including this layer, `progress` is told how many bytes of `reader` have been used so far.
    /// Safe to call for the layers of one image in parallel and in any order; idempotent; of two equal
    /// calls at once one works and the other waits (its reader is not read).
    ///
    /// # Errors
    /// Fails if the stream cannot be read, is no valid layer, does not hash to `diff_id`, or cannot be
    /// written. Nothing is left behind then.
    pub fn apply(
        &self,
        reader: impl Read,
        media_type: &str,
        diff_id: &Digest,
        chain: &[Digest],
        progress: &dyn Fn(u64),
    ) -> Result<()> {
        codec::check_media_type(media_type)?;
        let ids = chain_ids(chain);
        let (Some((chain_id, below)), Some(last)) = (ids.split_last(), chain.last()) else {
            return Err(Error::LayerNotFound { chain_id: *diff_id });
        };
        if last != diff_id {
            return Err(Error::DigestMismatch { expected: *last, actual: *diff_id });
        }
        let catalog = &self.0.catalog;
        if catalog.contains(chain_id) {
            return Ok(());
        }
        let _claim = catalog.claims.claim(*chain_id);
        if catalog.contains(chain_id) {
            return Ok(());
        }
        let staged = catalog.area.stage()?;
        let diff = staged.path().join("diff");
        extract::create_root(&diff).on("create", &diff)?;
        let extracted = self.extract(reader, &diff, diff_id, progress)?;
        let (size, unsettled) = self.complete(extracted, below)?;
        let document = catalog.describe(diff_id, below, size, unsettled);
        catalog.publish(staged, chain_id, &document)?;
        self.0.pending.add(catalog, *chain_id);
        Ok(())
    }

    /// Both threads: this one decompresses and hashes, the other writes files.
    fn extract(
        &self,
        reader: impl Read,
        diff: &Path,
        diff_id: &Digest,
        progress: &dyn Fn(u64),
    ) -> Result<Extracted> {
        let staging = self.0.catalog.area.staging();
        let (filler, drain) = pipe::pipe();
        let (extracted, hashed) = std::thread::scope(|scope| {
            let writer = std::thread::Builder::new()
                .name("layer".to_owned())
                .spawn_scoped(scope, || Extraction::new(diff, &staging)?.run(drain))
                .on("start thread for", diff)?;
            let hashed = decompress(reader, &filler, progress);
            // Tells the writer that nothing more comes.
            drop(filler);
            let extracted = writer.join().unwrap_or(Err(Error::LayerAborted { diff_id: *diff_id }));
            Ok::<_, Error>((extracted, hashed))
        })?;
        // A stream that broke off also makes the tar end early: the cause is told, not the effect.
        let actual = hashed?;
        let extracted = extracted?;
        match actual {
            Some(actual) if actual == *diff_id => Ok(extracted),
            Some(actual) => Err(Error::DigestMismatch { expected: *diff_id, actual }),
            None => Err(Error::LayerAborted { diff_id: *diff_id }),
        }
    }

    /// What can be done now that all entries are there: the layer's size, and what is left to do.
    fn complete(&self, extracted: Extracted, below: &[Digest]) -> Result<(u64, Unsettled)> {
        let Extracted { mut root, directories, mut unsettled, size } = extracted;
        // Only a settled layer may be looked at by another.
        if below.iter().all(|chain_id| self.0.catalog.is_settled(chain_id).unwrap_or(false)) {
            unsettled.settle(&mut root, &self.0.catalog.view(below))?;
            unsettled = Unsettled::default();
        }
        directories.apply(&root)?;
        Ok((size, unsettled))
    }

    /// Does what was put off for the layers of `chain` (chain ids, base first), now that all are here.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`] if one is not here; else if a layer needs something that is not below it.
    pub(crate) fn settle(&self, chain: &[Digest]) -> Result<()> {
        let catalog = &self.0.catalog;
        for chain_id in chain {
            if catalog.is_settled(chain_id)? {
                continue;
            }
            let _claim = catalog.claims.claim(*chain_id);
            let mut document = catalog.load(chain_id)?;
            let diff = catalog.diff(chain_id);
            let mut root = Root::open(&diff).on("open", &diff)?;
            document.unsettled.settle(&mut root, &catalog.view(&document.below))?;
            document.unsettled = Unsettled::default();
            self.0.pending.add(catalog, *chain_id);
            catalog.rewrite(chain_id, &mut document)?;
        }
        Ok(())
    }

    /// The bytes of all regular files of a layer.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`] if it is not here.
    pub fn size(&self, chain_id: &Digest) -> Result<u64> {
        Ok(self.0.catalog.load(chain_id)?.size)
    }

    /// The directories of the layers of `chain` (chain ids, base first), topmost first as overlay wants them.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`] if one is not here.
    pub fn directories(&self, chain: &[Digest]) -> Result<Vec<PathBuf>> {
        let directory = |chain_id: &Digest| match self.contains(chain_id) {
            true => Ok(self.0.catalog.diff(chain_id)),
            false => Err(Error::LayerNotFound { chain_id: *chain_id }),
        };
        chain.iter().rev().map(directory).collect()
    }

    /// The layers that a crash of the machine may have damaged. Those that only were not synced yet before the
    /// daemon ended are synced in a while.
    pub(crate) fn suspects(&self) -> Result<Vec<Digest>> {
        let (ours, suspects) = self.0.catalog.unsynced()?;
        for chain_id in ours {
            self.0.pending.add(&self.0.catalog, chain_id);
        }
        Ok(suspects)
    }

    /// Takes a suspect layer as it is.
    pub(crate) fn trust(&self, chain_id: &Digest) -> Result<()> {
        let mut document = self.0.catalog.load(chain_id)?;
        self.0.pending.add(&self.0.catalog, *chain_id);
        self.0.catalog.rewrite(chain_id, &mut document)
    }

    /// The chain ids of all layers that are here.
    pub(crate) fn list(&self) -> Result<Vec<Digest>> {
        self.0.catalog.list()
    }

    /// Whether somebody is applying or settling this layer.
    pub(crate) fn is_busy(&self, chain_id: &Digest) -> bool {
        self.0.catalog.claims.is_held(chain_id)
    }

    /// Takes a layer away; what is given back is still to be removed.
    pub(crate) fn discard(&self, chain_id: &Digest) -> Result<Option<PathBuf>> {
        self.0.catalog.discard(chain_id)
    }
}

/// Feeds the writer; the digest of the plain content, or `None` if the writer takes no more.
fn decompress(reader: impl Read, filler: &pipe::Filler, progress: &dyn Fn(u64)) -> Result<Option<Digest>> {
    let broken = |source| Error::Read { what: "layer", source };
    let mut content = codec::decoder(codec::Counted::new(reader, progress)).map_err(broken)?;
    let mut hasher = Hasher::new();
    loop {
        let mut chunk = filler.chunk();
        codec::fill(&mut content, &mut chunk, pipe::CHUNK).map_err(broken)?;
        if chunk.is_empty() {
            return Ok(Some(hasher.finish()));
        }
        hasher.update(&chunk);
        if !filler.send(chunk) {
            return Ok(None);
        }
    }
}
