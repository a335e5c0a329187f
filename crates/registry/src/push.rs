//! An image from the store into a registry.
//!
//! ```text
//! layers, side by side (upload.rs):  HEAD ──> there already
//!                                     └─ no ─> mount from a repository of the same registry ──> done
//!                                                └─ no ─> POST, PUT with the blob's bytes
//! config the same way, then the manifest, byte for byte as it is stored: what is pulled back has the same digest
//! ```

mod mounts;
mod upload;

use std::collections::HashSet;
use std::sync::Arc;

use barge_oci::manifest::{self, MAX_DOCUMENT, Parsed, media_type};
use barge_oci::{Descriptor, Digest, Manifest, Reference};
use barge_store::{Image, Store};
use bytes::Bytes;
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::credentials::Credentials;
use crate::endpoint;
use crate::error::{Error, Result};
use crate::progress::{Phase, Progress, short_id};
use crate::pull::blocking;
use crate::session::{Access, Session};
use crate::transport::{Ask, Payload};
use mounts::Mounts;
use upload::Upload;

/// What a push left at the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The manifest's.
    pub digest: Digest,
    /// The manifest's length in bytes.
    pub size: u64,
}

impl Client {
    /// Pushes the image that has the tagged name `reference` to the repository it names, and notes the digest it has
    /// there.
    ///
    /// # Errors
    /// If there is no such image, if the registry can't be reached or refuses, or if the store fails.
    pub async fn push(
        &self,
        store: &Store,
        reference: &Reference,
        credentials: Option<&Credentials>,
        progress: &Progress,
    ) -> Result<Pushed> {
        let lease = store.lease();
        let (image, bytes, manifest) = load(store, reference).await?;
        let candidate = endpoint::upstream(reference.domain())?;
        let session = Session::open(self, &candidate, reference.path(), Access::Push, credentials).await?;
        let mounts = Mounts::find(store, reference, &manifest).await?;
        mounts.repositories().for_each(|repository| session.also_read(repository));
        let push = Push {
            session: Arc::new(session),
            store: store.clone(),
            progress: progress.clone(),
            mounts: Arc::new(mounts),
        };
        push.layers(&image, &manifest).await?;
        push.upload(&manifest.config, None).await?;
        let pushed = push.manifest(reference, &image, bytes).await?;
        let (store, repository) = (store.clone(), reference.repository());
        let digest = pushed.digest;
        blocking("noting the pushed digest", move || {
            let noted = store.images().add_digest(&image.id, &repository, &digest);
            drop(lease);
            noted
        })
        .await?;
        Ok(pushed)
    }
}

async fn load(store: &Store, reference: &Reference) -> Result<(Image, Bytes, Manifest)> {
    let (store, name) = (store.clone(), reference.to_string());
    let (image, bytes) = blocking("finding the image", move || {
        let image = store.images().resolve(&name)?;
        let bytes = store.blobs().read(&image.manifest, MAX_DOCUMENT)?;
        Ok((image, bytes))
    })
    .await?;
    let parsed = manifest::parse(&bytes, &image.manifest_media_type);
    match parsed.map_err(|source| Error::Document { source })? {
        Parsed::Manifest(manifest) => Ok((image, bytes.into(), manifest)),
        Parsed::Index(_) => Err(Error::NotAnImage { media_type: image.manifest_media_type }),
    }
}

/// One push's means, shared by its uploads.
#[derive(Clone)]
struct Push {
    session: Arc<Session>,
    store: Store,
    progress: Progress,
    mounts: Arc<Mounts>,
}

impl Push {
    async fn layers(&self, image: &Image, manifest: &Manifest) -> Result<()> {
        let mut seen = HashSet::new();
        let layers: Vec<(Descriptor, String)> = manifest
            .layers
            .iter()
            .zip(&image.diff_ids)
            .filter(|(descriptor, _)| seen.insert(descriptor.digest))
            .map(|(descriptor, diff_id)| (descriptor.clone(), short_id(diff_id)))
            .collect();
        for (_, id) in layers.iter().rev() {
            self.progress.phase(id, Phase::Preparing).await;
        }
        let mut tasks = JoinSet::new();
        for (descriptor, id) in layers {
            let push = self.clone();
            tasks.spawn(async move { push.layer(&descriptor, &id).await });
        }
        while let Some(done) = tasks.join_next().await {
            done.map_err(|_| Error::Interrupted { doing: "pushing a layer" })??;
        }
        Ok(())
    }

    async fn layer(&self, descriptor: &Descriptor, id: &str) -> Result<()> {
        if is_foreign(descriptor) {
            self.progress.phase(id, Phase::SkippedForeign).await;
            return Ok(());
        }
        let semaphore = self.session.client().uploads();
        if semaphore.available_permits() == 0 {
            self.progress.phase(id, Phase::Waiting).await;
        }
        let permit = semaphore.acquire_owned().await;
        let _permit = permit.map_err(|_| Error::Interrupted { doing: "upload" })?;
        self.upload(descriptor, Some(id)).await
    }

    async fn upload(&self, descriptor: &Descriptor, id: Option<&str>) -> Result<()> {
        Upload { push: self, descriptor, id }.run().await
    }

    async fn manifest(&self, reference: &Reference, image: &Image, bytes: Bytes) -> Result<Pushed> {
        let tag = reference.tag().unwrap_or("latest");
        let mut ask = Ask::new(Method::PUT, self.session.url(&format!("manifests/{tag}"))?)
            .header(CONTENT_TYPE, &image.manifest_media_type);
        let size = bytes.len() as u64;
        ask.body = Payload::Whole(bytes);
        self.session.send_persistently(ask).await?;
        Ok(Pushed { digest: image.manifest, size })
    }
}

/// Layers that may not be distributed have their own media types and stay where they came from.
fn is_foreign(descriptor: &Descriptor) -> bool {
    descriptor.media_type == media_type::DOCKER_LAYER_FOREIGN
        || descriptor.media_type.starts_with("application/vnd.oci.image.layer.nondistributable.")
}
