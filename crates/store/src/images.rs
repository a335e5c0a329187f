//! Images: which names stand for which manifests.

use crate::error::Result;
use barge_oci::{Digest, ImageConfig, Reference};
use jiff::Timestamp;
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
struct Inner {}

impl Images {
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
        let _ = (manifest, reference, pulled_as);
        todo!()
    }

    /// Adds a digested name: after a push, the image is also `repository@digest`.
    ///
    /// # Errors
    /// Fails if there is no such image.
    pub fn add_digest(&self, id: &ImageId, repository: &Reference, digest: &Digest) -> Result<Image> {
        let _ = (id, repository, digest);
        todo!()
    }

    /// Gives an image another name; an image that had it loses it.
    ///
    /// # Errors
    /// Fails if there is no such image.
    pub fn tag(&self, id: &ImageId, reference: &Reference) -> Result<Image> {
        let _ = (id, reference);
        todo!()
    }

    /// Takes away one name. The image stays, even without any.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`](crate::Error::ImageNotFound) if no image has the name.
    pub fn untag(&self, reference: &Reference) -> Result<Image> {
        let _ = reference;
        todo!()
    }

    /// Notes that `id` was made from `parent`.
    ///
    /// # Errors
    /// Fails if there is no such image.
    pub fn set_parent(&self, id: &ImageId, parent: &ImageId) -> Result<()> {
        let _ = (id, parent);
        todo!()
    }

    /// The images that were made from `id` here.
    pub fn children(&self, id: &ImageId) -> Vec<ImageId> {
        let _ = id;
        todo!()
    }

    /// Finds an image by name, `name@digest`, id, or the beginning of an id that no other image shares.
    ///
    /// # Errors
    /// [`Error::ImageNotFound`](crate::Error::ImageNotFound), [`Error::ImageAmbiguous`](crate::Error::ImageAmbiguous).
    pub fn resolve(&self, name: &str) -> Result<Image> {
        let _ = name;
        todo!()
    }

    /// The image with that id.
    pub fn find(&self, id: &ImageId) -> Option<Image> {
        let _ = id;
        todo!()
    }

    /// All images, newest first.
    pub fn list(&self) -> Vec<Image> {
        todo!()
    }

    /// Removes an image with all its names, and the content that nothing else uses. Whether that is
    /// allowed (containers, children, several names) is the caller's to ask before.
    ///
    /// # Errors
    /// Fails if there is no such image or the change cannot be written.
    pub fn remove(&self, id: &ImageId) -> Result<Removed> {
        let _ = id;
        todo!()
    }
}
