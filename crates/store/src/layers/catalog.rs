//! Where the layers are, and the document beside each: `layers/<chain id>/{diff,layer.json}`.

use super::durable::boot_id;
use super::lower::Lower;
use super::settle::Unsettled;
use crate::area::{Area, Staged};
use crate::claims::Claims;
use crate::document::{self, Durability};
use crate::error::{Error, OnFile, Result};
use barge_oci::Digest;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The layers' directory.
#[derive(Debug)]
pub(super) struct Catalog {
    pub(super) area: Arc<Area>,
    pub(super) claims: Arc<Claims>,
    boot: String,
    /// Layers known to be here with nothing left to do: every container that starts asks.
    settled: Mutex<HashSet<Digest>>,
}

/// `layer.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Document {
    version: u32,
    diff_id: Digest,
    /// The chain ids of the layers below, base first.
    pub(super) below: Vec<Digest>,
    /// The bytes of all regular files.
    pub(super) size: u64,
    /// The boot in which it was written, until it is known to be on the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    #[serde(default, skip_serializing_if = "Unsettled::is_empty")]
    pub(super) unsettled: Unsettled,
}

const VERSION: u32 = 1;

impl Catalog {
    pub(super) fn new(area: Arc<Area>) -> Self {
        Self { area, claims: Arc::default(), boot: boot_id(), settled: Mutex::default() }
    }

    /// The document of a layer that was just extracted.
    pub(super) fn describe(
        &self,
        diff_id: &Digest,
        below: &[Digest],
        size: u64,
        unsettled: Unsettled,
    ) -> Document {
        let boot = Some(self.boot.clone());
        Document { version: VERSION, diff_id: *diff_id, below: below.to_owned(), size, boot, unsettled }
    }

    /// Gives a staged layer its place.
    pub(super) fn publish(&self, staged: Staged, chain_id: &Digest, document: &Document) -> Result<()> {
        document::create(&staged.path().join("layer.json"), document)?;
        let place = self.directory(chain_id);
        staged.publish(&place).on("rename to", &place)
    }

    /// Replaces the document of a layer whose files have changed.
    pub(super) fn rewrite(&self, chain_id: &Digest, document: &mut Document) -> Result<()> {
        document.boot = Some(self.boot.clone());
        document::replace(&self.document(chain_id), document, Durability::Crash)
    }

    /// Puts `layers` on the disk, and notes it unless they have `changed` meanwhile.
    pub(super) fn sync(&self, layers: &BTreeSet<Digest>, changed: impl Fn(&Digest) -> bool) -> Result<()> {
        let directory = self.area.layers();
        let handle = File::open(&directory).on("open", &directory)?;
        rustix::fs::syncfs(&handle).on("sync", &directory)?;
        for chain_id in layers {
            let _claim = self.claims.claim(*chain_id);
            if changed(chain_id) || !self.contains(chain_id) {
                continue;
            }
            let mut document = self.load(chain_id)?;
            document.boot = None;
            document::replace(&self.document(chain_id), &document, Durability::Crash)?;
        }
        Ok(())
    }

    /// The layers that are not known to be on the disk: written in this boot, or in an earlier one.
    pub(super) fn unsynced(&self) -> Result<(Vec<Digest>, Vec<Digest>)> {
        let (mut ours, mut suspect) = (Vec::new(), Vec::new());
        for chain_id in self.list()? {
            match self.load(&chain_id) {
                Ok(Document { boot: None, .. }) => {}
                Ok(Document { boot: Some(boot), .. }) if boot == self.boot => ours.push(chain_id),
                _ => suspect.push(chain_id),
            }
        }
        Ok((ours, suspect))
    }

    /// The chain ids of all layers.
    pub(super) fn list(&self) -> Result<Vec<Digest>> {
        let layers = self.area.layers();
        let mut chain_ids = Vec::new();
        for entry in fs::read_dir(&layers).on("read", &layers)? {
            let name = entry.on("read", &layers)?.file_name();
            chain_ids.extend(name.to_str().and_then(|name| Digest::from_hex(name).ok()));
        }
        Ok(chain_ids)
    }

    pub(super) fn contains(&self, chain_id: &Digest) -> bool {
        self.document(chain_id).is_file()
    }

    /// Whether the layer is here with nothing left to do.
    ///
    /// # Errors
    /// [`Error::LayerNotFound`] if it is not here.
    pub(super) fn is_settled(&self, chain_id: &Digest) -> Result<bool> {
        if self.known_settled().contains(chain_id) {
            return Ok(true);
        }
        let settled = self.load(chain_id)?.unsettled.is_empty();
        if settled {
            self.known_settled().insert(*chain_id);
        }
        Ok(settled)
    }

    /// Takes a layer away; what is given back is still to be removed.
    pub(super) fn discard(&self, chain_id: &Digest) -> Result<Option<PathBuf>> {
        self.known_settled().remove(chain_id);
        self.area.discard(&self.directory(chain_id))
    }

    // A set of digests is right after any panic.
    fn known_settled(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn load(&self, chain_id: &Digest) -> Result<Document> {
        document::load(&self.document(chain_id))?.ok_or(Error::LayerNotFound { chain_id: *chain_id })
    }

    /// A view of the layers of `chain` (base first).
    pub(super) fn view(&self, chain: &[Digest]) -> Lower {
        Lower::new(chain.iter().rev().map(|chain_id| self.diff(chain_id)).collect())
    }

    fn directory(&self, chain_id: &Digest) -> PathBuf {
        self.area.layers().join(chain_id.hex())
    }

    pub(super) fn diff(&self, chain_id: &Digest) -> PathBuf {
        self.directory(chain_id).join("diff")
    }

    fn document(&self, chain_id: &Digest) -> PathBuf {
        self.directory(chain_id).join("layer.json")
    }
}
