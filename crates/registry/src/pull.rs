//! An image from a registry into the store.
//!
//! ```text
//! name ──> manifest for the platform ──> config ──> layers, side by side (layer.rs) ──> image recorded
//!              mirrors first                            download and unpack at once
//! ```
//!
//! The image is recorded when everything of it is there and verified, so that a pull that ends anywhere before leaves
//! no image, only layers and partial downloads that the next pull finds.

mod download;
mod growth;
mod layer;

use std::sync::Arc;

use barge_oci::{Descriptor, Digest, ImageConfig, Platform, Reference, chain_ids};
use barge_store::{Image, ImageId, Lease, Store};
use bytes::Bytes;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::credentials::Credentials;
use crate::endpoint::{self, Candidate, Role};
use crate::error::{Error, Kind, Result};
use crate::manifest::{self, Name, Resolved};
use crate::progress::{Phase, Progress, short_id};
use crate::session::{Access, Session};
use layer::Layer;

/// What a pull brought.
#[derive(Clone, Debug)]
pub struct Pulled {
    pub image: Image,
    /// What the name stands for at the registry: an index or a manifest.
    pub digest: Digest,
    pub status: Status,
}

/// Whether a pull changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The name stands for another image than before, or for one for the first time.
    Newer,
    UpToDate,
}

/// One pull's means, shared by its layers.
#[derive(Clone)]
pub(crate) struct Pull {
    pub(crate) session: Arc<Session>,
    pub(crate) store: Store,
    pub(crate) progress: Progress,
    /// Keeps the garbage collector away from what is not named yet.
    pub(crate) lease: Arc<Lease>,
}

impl Client {
    /// Pulls the image that `reference` names for `platform` (this machine's if `None`) and records it under that
    /// name. Mirrors of the registry's domain are asked first; only the registry's own failure counts.
    ///
    /// # Errors
    /// If the registry can't be reached or refuses, if content is not what its digest says, or if it can't be stored.
    pub async fn pull(
        &self,
        store: &Store,
        reference: &Reference,
        platform: Option<&Platform>,
        credentials: Option<&Credentials>,
        progress: &Progress,
    ) -> Result<Pulled> {
        let wanted = platform.cloned().unwrap_or_else(Platform::host);
        let lease = Arc::new(store.lease());
        let mut last = None;
        for candidate in endpoint::candidates(self, reference.domain())? {
            let attempt =
                self.pull_from(&candidate, store, reference, &wanted, credentials, progress, &lease);
            match attempt.await {
                Ok(pulled) => return Ok(pulled),
                Err(error) => {
                    if error.kind() == Kind::Local || candidate.role == Role::Upstream {
                        return Err(error);
                    }
                    tracing::warn!(mirror = %candidate.url, %error, "mirror does not serve the image");
                    last = Some(error);
                }
            }
        }
        Err(last.unwrap_or(Error::Interrupted { doing: "pull" }))
    }

    #[expect(clippy::too_many_arguments, reason = "one call, from the loop over candidates above")]
    async fn pull_from(
        &self,
        candidate: &Candidate,
        store: &Store,
        reference: &Reference,
        wanted: &Platform,
        credentials: Option<&Credentials>,
        progress: &Progress,
        lease: &Arc<Lease>,
    ) -> Result<Pulled> {
        let session = Session::open(self, candidate, reference.path(), Access::Pull, credentials).await?;
        let pull = Pull {
            session: Arc::new(session),
            store: store.clone(),
            progress: progress.clone(),
            lease: Arc::clone(lease),
        };
        if let Some(pulled) = pull.unchanged(reference, wanted).await? {
            return Ok(pulled);
        }
        let resolved =
            manifest::resolve(&pull.session, name_of(reference), &reference.name(), wanted).await?;
        progress.found().await;
        pull.take_in(reference, resolved).await
    }
}

fn name_of(reference: &Reference) -> Name {
    match (reference.digest(), reference.tag()) {
        (Some(digest), _) => Name::Digest(*digest),
        (None, tag) => Name::Tag(tag.unwrap_or("latest").to_owned()),
    }
}

impl Pull {
    /// If the name is known here, a `HEAD` tells whether it still stands for the same: that does not count against a
    /// registry's limit of pulls.
    async fn unchanged(&self, reference: &Reference, wanted: &Platform) -> Result<Option<Pulled>> {
        let Ok(image) = self.store.images().resolve(&reference.to_string()) else { return Ok(None) };
        if !wanted.matches(&image.config.platform()) {
            return Ok(None);
        }
        // A registry that does not do HEAD is asked the long way, which also gives the better error.
        let Ok(head) = manifest::head(&self.session, &name_of(reference)).await else { return Ok(None) };
        let Some(digest) = head.digest else { return Ok(None) };
        let name = reference.repository().with_digest(&digest);
        if !image.digests.iter().any(|known| known.name() == name.name() && known.digest() == Some(&digest)) {
            return Ok(None);
        }
        self.progress.found().await;
        Ok(Some(Pulled { image, digest, status: Status::UpToDate }))
    }

    async fn take_in(&self, reference: &Reference, resolved: Resolved) -> Result<Pulled> {
        if !resolved.manifest.is_image() {
            let media_type = resolved.manifest.config.media_type.clone();
            return Err(Error::NotAnImage { media_type });
        }
        let (config, config_bytes) = self.config(&resolved.manifest.config).await?;
        let layers = plan(&resolved.manifest.layers, &config, resolved.manifest.config.digest)?;
        let mut documents: Vec<Bytes> = resolved.indexes.iter().map(|index| index.bytes.clone()).collect();
        documents.extend([resolved.bytes.clone(), config_bytes]);
        let (written, obtained) = tokio::join!(self.write(documents), self.obtain(layers));
        obtained?;
        written?;
        self.record(reference, &resolved).await
    }

    async fn config(&self, descriptor: &Descriptor) -> Result<(ImageConfig, Bytes)> {
        let known = match self.store.blobs().contains(&descriptor.digest) {
            true => self.store.blobs().read(&descriptor.digest, manifest_limit()).ok(),
            false => None,
        };
        let bytes = match known {
            Some(bytes) => bytes.into(),
            None => manifest::small_blob(&self.session, descriptor).await?,
        };
        let config = ImageConfig::parse(&bytes).map_err(|source| Error::Document { source })?;
        let os = config.platform().os;
        if !os.is_empty() && os != std::env::consts::OS {
            return Err(Error::ForeignSystem { os });
        }
        Ok((config, bytes))
    }

    /// All layers, or the first failure, which stops the others.
    async fn obtain(&self, layers: Vec<Layer>) -> Result<()> {
        for layer in &layers {
            let here = layer.is_here(&self.store);
            let phase = if here { Phase::AlreadyExists } else { Phase::PullingFsLayer };
            self.progress.phase(&layer.id(), phase).await;
        }
        let mut tasks = JoinSet::new();
        for layer in layers.into_iter().filter(|layer| !layer.is_here(&self.store)) {
            let pull = self.clone();
            tasks.spawn(async move { pull.obtain_layer(&layer).await });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(|_| Error::Interrupted { doing: "pulling a layer" })??;
        }
        Ok(())
    }

    /// Manifests and config, while layers are under way.
    async fn write(&self, documents: Vec<Bytes>) -> Result<()> {
        let store = self.store.clone();
        blocking("storing the manifest", move || {
            for document in &documents {
                store.blobs().put(document)?;
            }
            Ok(())
        })
        .await
    }

    async fn record(&self, reference: &Reference, resolved: &Resolved) -> Result<Pulled> {
        let (store, lease) = (self.store.clone(), Arc::clone(&self.lease));
        let (reference, manifest, digest) = (reference.clone(), resolved.digest, resolved.named());
        let id = ImageId(resolved.manifest.config.digest);
        blocking("recording the image", move || {
            let before = store.images().resolve(&reference.to_string()).ok().map(|image| image.id);
            let image = store.images().record(&manifest, Some(&reference), Some(&digest))?;
            drop(lease);
            let status = if before == Some(id) { Status::UpToDate } else { Status::Newer };
            Ok(Pulled { image, digest, status })
        })
        .await
    }
}

fn manifest_limit() -> u64 {
    barge_oci::manifest::MAX_DOCUMENT
}

/// Pairs the manifest's layers with the config's diff IDs.
fn plan(descriptors: &[Descriptor], config: &ImageConfig, object: Digest) -> Result<Vec<Layer>> {
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != descriptors.len() {
        let reason =
            format!("{} layers in the manifest, {} in the config", descriptors.len(), diff_ids.len());
        return Err(Error::Tampered { object, reason });
    }
    let chain = chain_ids(diff_ids);
    let layers = descriptors.iter().zip(chain).enumerate().map(|(at, (descriptor, chain_id))| Layer {
        descriptor: descriptor.clone(),
        chain_id,
        chain: diff_ids[..=at].to_vec(),
    });
    Ok(layers.collect())
}

/// Runs work on the store away from the threads that serve connections.
pub(crate) async fn blocking<T: Send + 'static>(
    doing: &'static str,
    work: impl FnOnce() -> barge_store::Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|source| Error::Store { doing, source }),
        Err(_) => Err(Error::Interrupted { doing }),
    }
}

pub(crate) fn layer_id(descriptor: &Descriptor) -> String {
    short_id(&descriptor.digest)
}
