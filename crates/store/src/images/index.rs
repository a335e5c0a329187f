//! `image/index.json`: the one document that says which images there are.
//!
//! ```text
//! { "schemaVersion": 2, "manifests": [
//!     { mediaType, digest, size, "annotations": {
//!         "org.opencontainers.image.ref.name": "docker.io/library/busybox:latest"   one entry for each tag
//!         "dev.barge.digests":     "docker.io/library/busybox@sha256:…"              on the first entry
//!         "dev.barge.last-tagged", "dev.barge.parent" } } ] }
//! ```
//!
//! It is the OCI layout's own index, so skopeo and umoci see the images by name, and there is no second
//! document that could contradict it. Everything else about an image is read from its blobs at open and held in
//! memory. Readers take a snapshot of the whole and never wait for the disk; writers take turns.

use super::{ImageId, heal};
use crate::blobs::Blobs;
use crate::document::{self, Durability};
use crate::error::{Error, Result};
use crate::layers::Layers;
use barge_oci::manifest::{MAX_DOCUMENT, Parsed, media_type, parse};
use barge_oci::{Descriptor, Digest, ImageConfig, Manifest, Reference, chain_ids};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const DIGESTS: &str = "dev.barge.digests";
const LAST_TAGGED: &str = "dev.barge.last-tagged";
const PARENT: &str = "dev.barge.parent";
const VERSION: &str = "dev.barge.version";

/// One manifest that is an image here, with its names.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) manifest: Descriptor,
    pub(crate) id: ImageId,
    pub(crate) config: Arc<ImageConfig>,
    pub(crate) chain: Vec<Digest>,
    /// The blobs it names, itself included.
    pub(crate) blobs: Vec<Digest>,
    pub(crate) size: u64,
    pub(crate) names: Names,
}

/// What can change about an image.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names {
    pub(crate) tags: BTreeSet<Reference>,
    pub(crate) digests: BTreeSet<Reference>,
    pub(crate) last_tagged: Option<Timestamp>,
    pub(crate) parent: Option<ImageId>,
}

/// All images, by the digest of their manifest.
pub(crate) type Records = BTreeMap<Digest, Record>;

/// The images of one layout.
#[derive(Debug)]
pub(crate) struct Index {
    path: PathBuf,
    records: RwLock<Arc<Records>>,
    writer: Mutex<()>,
    left_out: Vec<LeftOut>,
}

/// An entry that is no image that can be used: damaged, or put there by another tool. It is kept.
#[derive(Debug)]
struct LeftOut {
    descriptor: Descriptor,
    blobs: Vec<Digest>,
}

/// `index.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    media_type: String,
    manifests: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Index {
    /// Reads the images under `layout`. One whose content is missing or damaged is left out, with a warning.
    pub(crate) fn open(layout: PathBuf, blobs: &Blobs, layers: &Layers) -> Result<Self> {
        let path = layout.join("index.json");
        let mut records = Records::new();
        let document: Option<Document> = document::load(&path)?;
        let mut suspects = layers.suspects()?;
        let mut left_out = Vec::new();
        for descriptor in document.iter().flat_map(|document| &document.manifests) {
            let record = match records.entry(descriptor.digest) {
                Entry::Occupied(slot) => slot.into_mut(),
                Entry::Vacant(slot) => match heal::load(&descriptor.digest, &mut suspects, blobs, layers) {
                    Ok(record) => slot.insert(record),
                    Err(error) => {
                        tracing::warn!(manifest = %descriptor.digest, %error, "image left out");
                        left_out.push(LeftOut::new(descriptor, blobs));
                        continue;
                    }
                },
            };
            record.names.add(descriptor);
        }
        heal::trust_the_rest(&suspects, layers)?;
        let (records, writer) = (RwLock::new(Arc::new(records)), Mutex::new(()));
        let index = Self { path, records, writer, left_out };
        if document.is_none() {
            index.write(&Records::new())?;
        }
        Ok(index)
    }

    /// The images as they are now.
    pub(crate) fn records(&self) -> Arc<Records> {
        Arc::clone(&self.records.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the images: `change` works on a copy, which is written, then seen.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Records) -> Result<T>) -> Result<T> {
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut records = Records::clone(&self.records());
        let result = change(&mut records)?;
        self.write(&records)?;
        *self.records.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(records);
        Ok(result)
    }

    /// The blobs of entries that cannot be used, but are kept.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = &Digest> {
        self.left_out.iter().flat_map(|left_out| &left_out.blobs)
    }

    fn write(&self, records: &Records) -> Result<()> {
        let left_out = self.left_out.iter().map(|left_out| &left_out.descriptor);
        let left_out = left_out.filter(|descriptor| !records.contains_key(&descriptor.digest)).cloned();
        let document = Document {
            schema_version: 2,
            media_type: media_type::OCI_INDEX.to_owned(),
            manifests: records.values().flat_map(Record::descriptors).chain(left_out).collect(),
            annotations: [(VERSION.to_owned(), "1".to_owned())].into(),
        };
        document::replace(&self.path, &document, Durability::PowerCut)
    }
}

impl LeftOut {
    fn new(descriptor: &Descriptor, blobs: &Blobs) -> Self {
        let document = blobs.read(&descriptor.digest, MAX_DOCUMENT).ok();
        let named = match document.and_then(|bytes| parse(&bytes, "").ok()) {
            Some(Parsed::Manifest(manifest)) => {
                manifest.layers.iter().chain([&manifest.config]).map(|blob| blob.digest).collect()
            }
            Some(Parsed::Index(index)) => index.manifests.iter().map(|inner| inner.digest).collect(),
            None => Vec::new(),
        };
        let blobs = [descriptor.digest].into_iter().chain(named).collect();
        Self { descriptor: descriptor.clone(), blobs }
    }
}

impl Record {
    /// Reads and checks the image of `manifest`, whose blobs and layers must all be here.
    pub(crate) fn load(manifest: &Digest, blobs: &Blobs, layers: &Layers) -> Result<Self> {
        let invalid = |reason: &str| Error::ImageInvalid { digest: *manifest, reason: reason.to_owned() };
        let bytes = blobs.read(manifest, MAX_DOCUMENT)?;
        let Parsed::Manifest(document) = parse(&bytes, "")? else {
            return Err(invalid("it is an index, not a manifest"));
        };
        if !document.is_image() {
            return Err(invalid("its config is not one of a container image"));
        }
        for blob in std::iter::once(&document.config).chain(&document.layers) {
            check_size(blob, blobs)?;
        }
        let config = ImageConfig::parse(&blobs.read(&document.config.digest, document.config.size)?)?;
        let diff_ids = &config.rootfs.diff_ids;
        if diff_ids.len() != document.layers.len() {
            return Err(invalid("config and manifest do not name the same number of layers"));
        }
        let chain = chain_ids(diff_ids);
        let size = chain.iter().map(|chain_id| layers.size(chain_id)).sum::<Result<u64>>()?;
        let named = document.layers.iter().map(|layer| layer.digest);
        Ok(Self {
            manifest: Descriptor::new(own_type(&document), *manifest, bytes.len() as u64),
            id: ImageId(document.config.digest),
            blobs: [*manifest, document.config.digest].into_iter().chain(named).collect(),
            config: Arc::new(config),
            chain,
            size,
            names: Names::default(),
        })
    }

    /// Its entries in the index: one for each tag, at least one.
    fn descriptors(&self) -> Vec<Descriptor> {
        let mut shared = BTreeMap::new();
        if let Some(time) = self.names.last_tagged {
            shared.insert(LAST_TAGGED.to_owned(), time.to_string());
        }
        if let Some(parent) = &self.names.parent {
            shared.insert(PARENT.to_owned(), parent.to_string());
        }
        let entry = || Descriptor { annotations: shared.clone(), ..self.manifest.clone() };
        let mut entries: Vec<Descriptor> = self.names.tags.iter().map(|tag| named(entry(), tag)).collect();
        if entries.is_empty() {
            entries.push(entry());
        }
        if !self.names.digests.is_empty() {
            let digests: Vec<String> = self.names.digests.iter().map(Reference::to_string).collect();
            entries[0].annotations.insert(DIGESTS.to_owned(), digests.join(" "));
        }
        entries
    }
}

impl Names {
    /// Takes in what an entry of the index says.
    fn add(&mut self, descriptor: &Descriptor) {
        let text = |key: &str| descriptor.annotations.get(key);
        self.tags.extend(text(REF_NAME).and_then(|name| name.parse().ok()));
        let digests = text(DIGESTS).map(String::as_str).unwrap_or_default();
        self.digests.extend(digests.split(' ').filter_map(|name| name.parse().ok()));
        self.last_tagged = text(LAST_TAGGED).and_then(|time| time.parse().ok()).or(self.last_tagged);
        self.parent = text(PARENT).and_then(|id| id.parse().ok()).map(ImageId).or(self.parent);
    }
}

fn named(mut entry: Descriptor, tag: &Reference) -> Descriptor {
    entry.annotations.insert(REF_NAME.to_owned(), tag.to_string());
    entry
}

fn check_size(blob: &Descriptor, blobs: &Blobs) -> Result<()> {
    let actual = blobs.size(&blob.digest)?;
    if actual != blob.size {
        return Err(Error::SizeMismatch { digest: blob.digest, expected: blob.size, actual });
    }
    Ok(())
}

/// The manifest's media type: its own word, else by the kind of its config.
fn own_type(manifest: &Manifest) -> &'static str {
    let docker = manifest.media_type == media_type::DOCKER_MANIFEST
        || manifest.media_type.is_empty() && manifest.config.media_type == media_type::DOCKER_CONFIG;
    if docker { media_type::DOCKER_MANIFEST } else { media_type::OCI_MANIFEST }
}
