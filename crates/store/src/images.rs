//! Images: which names stand for which manifests.
//!
//! An image is what has been recorded in `image/index.json` (see `images/index.rs`), and only after all it is made
//! of is here: blobs, then applied layers, then the record. Its id is the digest of its config; one image may have
//! come by several manifests (the same layers compressed differently), each with names of its own.
//! Knows nothing of containers: who asks to remove an image asks about them first.

mod find;
mod heal;
pub(crate) mod index;

use crate::blobs::Blobs;
use crate::error::{Error, Result};
use crate::gc::Collector;
use crate::layers::Layers;
use barge_oci::{Digest, ImageConfig, Reference};
use index::{Index, Record, Records};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// Identifies an image: the digest of its config.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct ImageId(pub Digest);

impl ImageId {
    /// The first twelve hexadecimal digits, as people write it.
    pub fn short(&self) -> String {
        self.0.hex()[..12].to_owned()
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An image that is here, whole: config, manifest, blobs and applied layers.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// The manifest it came by (of the name asked for, if it came by several).
    pub manifest: Digest,
    /// That manifest's media type.
    pub manifest_media_type: String,
    /// That manifest's length in bytes.
    pub manifest_size: u64,
    /// What a container of it starts with.
    pub config: Arc<ImageConfig>,
    /// The digest of the config's blob; the same as `id`.
    pub config_digest: Digest,
    /// The chain ids of its layers, base first: what [`Snapshotter::prepare`](crate::Snapshotter) takes.
    pub chain: Vec<Digest>,
    /// The diff ids of its layers, base first.
    pub diff_ids: Vec<Digest>,
    /// The bytes of all files in all layers.
    pub size: u64,
    /// Its tagged names.
    pub tags: Vec<Reference>,
    /// `name@digest` as pulled or pushed, canonical.
    pub digests: Vec<Reference>,
    /// `digests` as Docker shows them.
    pub repo_digests: Vec<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When it last got a name.
    pub last_tagged: Option<Timestamp>,
    /// The image that this one was made from here, by commit or build.
    pub parent: Option<ImageId>,
}

/// What a removal took away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// The names (tagged and digested).
    pub untagged: Vec<Reference>,
    /// The image, if it is gone.
    pub image: Option<ImageId>,
    /// The chain ids of the layers that are gone, topmost first.
    pub layers: Vec<Digest>,
}

/// The images of one data root.
#[derive(Debug, Clone)]
pub struct Images(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    index: Arc<Index>,
    blobs: Blobs,
    layers: Layers,
    collector: Arc<Collector>,
}

impl Images {
    pub(crate) fn new(index: Arc<Index>, blobs: Blobs, layers: Layers, collector: Arc<Collector>) -> Self {
        Self(Arc::new(Inner { index, blobs, layers, collector }))
    }

    /// Makes the image of `manifest` known, by `reference` if given (an image that had the name loses
    /// it). Its manifest, config, layer blobs and applied layers must be here; the caller holds a
    /// [`Lease`](crate::Lease) since before it looked for the first of them. `pulled_as` is the digest
    /// that the name stood for: the index's or the manifest's.
    ///
    /// # Errors
    /// Fails if something of the image is missing or invalid.
    pub fn record(
        &self,
        manifest: &Digest,
        reference: Option<&Reference>,
        pulled_as: Option<&Digest>,
    ) -> Result<Image> {
        let mut record = Record::load(manifest, &self.0.blobs, &self.0.layers)?;
        self.0.layers.settle(&record.chain)?;
        self.0.index.update(|records| {
            if let Some(known) = records.get(manifest) {
                record.names = known.names.clone();
            }
            records.insert(*manifest, record);
            for name in names_of(reference, pulled_as) {
                assign(records, manifest, &name);
            }
            image_of(records, manifest)
        })
    }

    /// Adds a digested name: after a push, the image is also `repository@digest`.
    ///
    /// # Errors
    /// Fails if there is no such image.
    pub fn add_digest(&self, id: &ImageId, repository: &Reference, digest: &Digest) -> Result<Image> {
        self.name(id, &repository.with_digest(digest))
    }

    /// Gives an image another name; an image that had it loses it.
    ///
    /// # Errors
    /// Fails if there is no such image.
    pub fn tag(&self, id: &ImageId, reference: &Reference) -> Result<Image> {
        self.name(id, reference)
    }

    /// As [`Images::tag`], for an image that came by several manifests: which of them gets the name.
    ///
    /// # Errors
    /// Fails if no image came by this manifest.
    pub fn tag_manifest(&self, manifest: &Digest, reference: &Reference) -> Result<Image> {
        self.0.index.update(|records| {
            assign(records, manifest, reference);
            image_of(records, manifest)
        })
    }

    fn name(&self, id: &ImageId, name: &Reference) -> Result<Image> {
        self.0.index.update(|records| {
            let record = find::by_id(records, &id.0).ok_or_else(|| unknown(id))?;
            let manifest = record.manifest.digest;
            assign(records, &manifest, name);
            image_of(records, &manifest)
        })
    }

    /// Takes away one name. The image stays, even without any.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`] if no image has the name.
    pub fn untag(&self, reference: &Reference) -> Result<Image> {
        self.0.index.update(|records| {
            let record = find::by_reference(records, reference);
            let record = record.ok_or_else(|| Error::ImageNotFound { name: reference.familiar() })?;
            let manifest = record.manifest.digest;
            withdraw(records, reference);
            image_of(records, &manifest)
        })
    }

    /// Notes that `id` was made from `parent`.
    ///
    /// # Errors
    /// Fails if there is no such image.
    pub fn set_parent(&self, id: &ImageId, parent: &ImageId) -> Result<()> {
        self.0.index.update(|records| {
            find::by_id(records, &id.0).ok_or_else(|| unknown(id))?;
            for record in records.values_mut().filter(|record| record.id == *id) {
                record.names.parent = Some(*parent);
            }
            Ok(())
        })
    }

    /// The images that were made from `id` here.
    pub fn children(&self, id: &ImageId) -> Vec<ImageId> {
        let records = self.0.index.records();
        let children = records.values().filter(|record| record.names.parent == Some(*id));
        children.map(|record| record.id).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Finds an image by name, `name@digest`, id, or the beginning of an id that no other image shares.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`], [`Error::ImageAmbiguous`], or [`Error::Oci`] if it can't be a name.
    pub fn resolve(&self, name: &str) -> Result<Image> {
        let records = self.0.index.records();
        let record = find::resolve(&records, name)?;
        image_of(&records, &record.manifest.digest)
    }

    /// The image with that id.
    pub fn find(&self, id: &ImageId) -> Option<Image> {
        let records = self.0.index.records();
        let record = find::by_id(&records, &id.0)?;
        image_of(&records, &record.manifest.digest).ok()
    }

    /// The image that came by that manifest.
    pub fn find_manifest(&self, manifest: &Digest) -> Option<Image> {
        image_of(&self.0.index.records(), manifest).ok()
    }

    /// All images, newest first.
    pub fn list(&self) -> Vec<Image> {
        let records = self.0.index.records();
        let ids: BTreeSet<ImageId> = records.values().map(|record| record.id).collect();
        let mut images: Vec<Image> = ids
            .iter()
            .filter_map(|id| find::by_id(&records, &id.0))
            .filter_map(|record| image_of(&records, &record.manifest.digest).ok())
            .collect();
        images.sort_by_key(|image| std::cmp::Reverse(image.created));
        images
    }

    /// Removes an image with all its names, and the content that nothing else uses. Whether that is
    /// allowed (containers, children, several names) is the caller's to ask before.
    ///
    /// # Errors
    /// Fails if there is no such image or the change cannot be written.
    pub fn remove(&self, id: &ImageId) -> Result<Removed> {
        let (untagged, gone) = self.0.index.update(|records| {
            let (gone, kept): (Records, Records) =
                std::mem::take(records).into_iter().partition(|(_, record)| record.id == *id);
            *records = kept;
            if gone.is_empty() {
                return Err(unknown(id));
            }
            for record in records.values_mut().filter(|record| record.names.parent == Some(*id)) {
                record.names.parent = None;
            }
            let names =
                gone.values().flat_map(|record| record.names.tags.iter().chain(&record.names.digests));
            Ok((names.cloned().collect(), gone))
        })?;
        let layers = self.0.collector.forget(gone.into_values())?;
        Ok(Removed { untagged, image: Some(*id), layers })
    }
}

/// The names that a recorded image gets: its tag, and its digest in that repository.
fn names_of(reference: Option<&Reference>, pulled_as: Option<&Digest>) -> Vec<Reference> {
    let Some(reference) = reference else { return Vec::new() };
    let tag = reference.tag().and_then(|tag| reference.with_tag(tag).ok());
    let digest = pulled_as.or(reference.digest()).map(|digest| reference.with_digest(digest));
    // `name:tag@digest` was pulled by its digest: the tag stands for whatever the registry says.
    let tag = tag.filter(|_| reference.digest().is_none());
    tag.into_iter().chain(digest).collect()
}

/// Gives `name` to one manifest and takes it from all others.
fn assign(records: &mut Records, manifest: &Digest, name: &Reference) {
    if !records.contains_key(manifest) {
        return;
    }
    withdraw(records, name);
    if let Some(record) = records.get_mut(manifest) {
        match name.digest() {
            Some(digest) => record.names.digests.insert(name.with_digest(digest)),
            None => record.names.tags.insert(name.clone()),
        };
        record.names.last_tagged = Some(Timestamp::now());
    }
}

fn withdraw(records: &mut Records, name: &Reference) {
    for record in records.values_mut() {
        match name.digest() {
            Some(digest) => record.names.digests.remove(&name.with_digest(digest)),
            None => record.names.tags.remove(name),
        };
    }
}

fn image_of(records: &Records, manifest: &Digest) -> Result<Image> {
    let record = records.get(manifest).ok_or_else(|| Error::ImageNotFound { name: manifest.to_string() })?;
    let same = || records.values().filter(|other| other.id == record.id);
    let tags: BTreeSet<&Reference> = same().flat_map(|record| &record.names.tags).collect();
    let digests: BTreeSet<&Reference> = same().flat_map(|record| &record.names.digests).collect();
    Ok(Image {
        id: record.id,
        manifest: record.manifest.digest,
        manifest_media_type: record.manifest.media_type.clone(),
        manifest_size: record.manifest.size,
        config: Arc::clone(&record.config),
        config_digest: record.id.0,
        chain: record.chain.clone(),
        diff_ids: record.config.rootfs.diff_ids.clone(),
        size: record.size,
        tags: tags.into_iter().cloned().collect(),
        repo_digests: digests.iter().map(|digest| digest.familiar()).collect(),
        digests: digests.into_iter().cloned().collect(),
        created: record.config.created,
        last_tagged: same().filter_map(|record| record.names.last_tagged).max(),
        parent: record.names.parent,
    })
}

fn unknown(id: &ImageId) -> Error {
    Error::ImageNotFound { name: id.to_string() }
}
