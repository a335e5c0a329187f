//! Layers applied: `overlay/layers/<chain id>/`, each extracted on its own.
//!
//! ```text
//! reader ─ decompress ─ hash ─┐ chunks              layers/<chain id>/
//!      (the caller's thread)  └──> tar ─ files        diff/        in overlay's format
//!                                (a second thread)    layer.json   diff id, size, what is unsettled
//! ```
//!
//! Order of writes: the directory is filled in staging; the diff id is compared; the file system is synced once
//! (one `syncfs` for all files: a sync for each would cost more than the extraction); then one rename
//! publishes it. So after a crash or power cut a layer is there whole or not at all.
//!
//! Layers of one image need not be applied in order. What one needs of those below it is done as soon as they are
//! there, at the latest when the image is recorded: see `settle.rs`. Does not know images.

pub(crate) mod codec;
mod deferred;
mod extract;
mod lower;
mod metadata;
mod pipe;
mod root;
mod settle;

use crate::area::Area;
use crate::claims::Claims;
use crate::document::{self, Durability, sync_directory};
use crate::error::{Error, OnFile, Result};
use barge_oci::{Digest, Hasher, chain_ids};
use extract::{Extracted, Extraction};
use lower::Lower;
use root::Root;
use serde::{Deserialize, Serialize};
use settle::Unsettled;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The applied layers of one data root.
#[derive(Debug, Clone)]
pub struct Layers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    area: Arc<Area>,
    claims: Arc<Claims>,
}

/// `layer.json`.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    version: u32,
    diff_id: Digest,
    /// The chain ids of the layers below, base first.
    below: Vec<Digest>,
    /// The bytes of all regular files.
    size: u64,
    #[serde(default, skip_serializing_if = "Unsettled::is_empty")]
    unsettled: Unsettled,
}

const VERSION: u32 = 1;

impl Layers {
    pub(crate) fn at(area: Arc<Area>) -> Self {
        Self(Arc::new(Inner { area, claims: Arc::default() }))
    }

    /// Whether the layer with that chain id has been applied.
    pub fn contains(&self, chain_id: &Digest) -> bool {
        self.document(chain_id).is_file()
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
        if self.contains(chain_id) {
            return Ok(());
        }
        let _claim = self.0.claims.claim(*chain_id);
        if self.contains(chain_id) {
            return Ok(());
        }
        let staged = self.0.area.stage()?;
        let diff = staged.path().join("diff");
        extract::create_root(&diff).on("create", &diff)?;
        let extracted = self.extract(reader, &diff, diff_id, progress)?;
        let document = self.complete(extracted, diff_id, below)?;
        document::replace(&staged.path().join("layer.json"), &document, Durability::Crash)?;
        self.publish(staged, chain_id)
    }

    /// Both threads: this one decompresses and hashes, the other writes files.
    fn extract(
        &self,
        reader: impl Read,
        diff: &Path,
        diff_id: &Digest,
        progress: &dyn Fn(u64),
    ) -> Result<Extracted> {
        let staging = self.0.area.staging();
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

    /// What can be done now that all entries are there.
    fn complete(&self, extracted: Extracted, diff_id: &Digest, below: &[Digest]) -> Result<Document> {
        let Extracted { mut root, directories, mut unsettled, size } = extracted;
        if below.iter().all(|chain_id| self.contains(chain_id)) {
            unsettled.settle(&mut root, &self.below(below))?;
            unsettled = Unsettled::default();
        }
        directories.apply(&root)?;
        Ok(Document { version: VERSION, diff_id: *diff_id, below: below.to_owned(), size, unsettled })
    }

    fn publish(&self, staged: crate::area::Staged, chain_id: &Digest) -> Result<()> {
        let layers = self.0.area.layers();
        let handle = File::open(&layers).on("open", &layers)?;
        rustix::fs::syncfs(&handle).on("sync", &layers)?;
        let place = self.directory(chain_id);
        staged.publish(&place).on("rename to", &place)?;
        sync_directory(&layers)
    }

    /// Does what was put off for the layers of `chain` (chain ids, base first), now that all are here.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`] if one is not here; else if a layer needs something that is not below it.
    pub(crate) fn settle(&self, chain: &[Digest]) -> Result<()> {
        for chain_id in chain {
            if self.load(chain_id)?.unsettled.is_empty() {
                continue;
            }
            let _claim = self.0.claims.claim(*chain_id);
            let mut document = self.load(chain_id)?;
            let diff = self.diff(chain_id);
            let mut root = Root::open(&diff).on("open", &diff)?;
            document.unsettled.settle(&mut root, &self.below(&document.below))?;
            document.unsettled = Unsettled::default();
            let handle = File::open(&diff).on("open", &diff)?;
            rustix::fs::syncfs(&handle).on("sync", &diff)?;
            document::replace(&self.document(chain_id), &document, Durability::PowerCut)?;
        }
        Ok(())
    }

    /// The bytes of all regular files of a layer.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`] if it is not here.
    pub fn size(&self, chain_id: &Digest) -> Result<u64> {
        Ok(self.load(chain_id)?.size)
    }

    /// The directories of the layers of `chain` (chain ids, base first), topmost first as overlay wants them.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`] if one is not here.
    pub fn directories(&self, chain: &[Digest]) -> Result<Vec<PathBuf>> {
        let directory = |chain_id: &Digest| match self.contains(chain_id) {
            true => Ok(self.diff(chain_id)),
            false => Err(Error::LayerNotFound { chain_id: *chain_id }),
        };
        chain.iter().rev().map(directory).collect()
    }

    /// The chain ids of all layers that are here.
    pub(crate) fn list(&self) -> Result<Vec<Digest>> {
        let layers = self.0.area.layers();
        let mut chain_ids = Vec::new();
        for entry in fs::read_dir(&layers).on("read", &layers)? {
            let name = entry.on("read", &layers)?.file_name();
            chain_ids.extend(name.to_str().and_then(|name| Digest::from_hex(name).ok()));
        }
        Ok(chain_ids)
    }

    /// Whether somebody is applying or settling this layer.
    pub(crate) fn is_busy(&self, chain_id: &Digest) -> bool {
        self.0.claims.is_held(chain_id)
    }

    /// Takes a layer away; what is given back is still to be removed.
    pub(crate) fn discard(&self, chain_id: &Digest) -> Result<Option<PathBuf>> {
        self.0.area.discard(&self.directory(chain_id))
    }

    fn below(&self, chain: &[Digest]) -> Lower {
        Lower::new(chain.iter().rev().map(|chain_id| self.diff(chain_id)).collect())
    }

    fn load(&self, chain_id: &Digest) -> Result<Document> {
        document::load(&self.document(chain_id))?.ok_or(Error::LayerNotFound { chain_id: *chain_id })
    }

    fn directory(&self, chain_id: &Digest) -> PathBuf {
        self.0.area.layers().join(chain_id.hex())
    }

    fn diff(&self, chain_id: &Digest) -> PathBuf {
        self.directory(chain_id).join("diff")
    }

    fn document(&self, chain_id: &Digest) -> PathBuf {
        self.directory(chain_id).join("layer.json")
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
