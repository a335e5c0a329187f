//! Which repositories of the same registry are known to have a blob: those an image with it was pulled from or
//! pushed to. The registry is asked to take the blob over instead of getting it again.

use std::collections::{BTreeSet, HashMap, HashSet};

use barge_oci::manifest::{self, MAX_DOCUMENT, Parsed};
use barge_oci::{Digest, Manifest, Reference};
use barge_store::{Image, Store};

use crate::error::Result;
use crate::pull::blocking;

/// Asking costs a round trip each.
const MAX_PER_BLOB: usize = 3;

/// Repository paths by blob.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    sources: HashMap<Digest, Vec<String>>,
}

impl Mounts {
    /// Looks through the store for `manifest`'s blobs in other repositories of `reference`'s registry.
    pub(super) async fn find(store: &Store, reference: &Reference, manifest: &Manifest) -> Result<Self> {
        let (store, reference) = (store.clone(), reference.clone());
        let wanted: HashSet<Digest> = manifest.layers.iter().map(|layer| layer.digest).collect();
        blocking("looking for layers to mount", move || {
            let mut found = Self::default();
            for image in store.images().list() {
                let repositories = others(&image, &reference);
                if !repositories.is_empty() {
                    found.add(&store, &image, &repositories, &wanted);
                }
            }
            Ok(found)
        })
        .await
    }

    fn add(
        &mut self,
        store: &Store,
        image: &Image,
        repositories: &BTreeSet<String>,
        wanted: &HashSet<Digest>,
    ) {
        // An image whose manifest can't be read has nothing to offer.
        let Ok(bytes) = store.blobs().read(&image.manifest, MAX_DOCUMENT) else { return };
        let Ok(Parsed::Manifest(manifest)) = manifest::parse(&bytes, &image.manifest_media_type) else {
            return;
        };
        for layer in manifest.layers.iter().filter(|layer| wanted.contains(&layer.digest)) {
            let sources = self.sources.entry(layer.digest).or_default();
            for repository in repositories {
                if sources.len() < MAX_PER_BLOB && !sources.contains(repository) {
                    sources.push(repository.clone());
                }
            }
        }
    }

    /// Where the blob may be taken from.
    pub(super) fn sources(&self, blob: &Digest) -> &[String] {
        self.sources.get(blob).map_or(&[], Vec::as_slice)
    }

    /// All repositories named.
    pub(super) fn repositories(&self) -> impl Iterator<Item = &str> {
        let all: BTreeSet<&str> = self.sources.values().flatten().map(String::as_str).collect();
        all.into_iter()
    }
}

fn others(image: &Image, reference: &Reference) -> BTreeSet<String> {
    let same_registry = image.digests.iter().filter(|known| known.domain() == reference.domain());
    same_registry.map(|known| known.path().to_owned()).filter(|path| path != reference.path()).collect()
}
