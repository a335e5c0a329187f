//! One layer: downloaded and unpacked at the same time.
//!
//! ```text
//! waiting for others with the same blob ──> here already? ──> unpack from the blob
//!                                                   └── no ──> download ═╦═> unpack ──> both must succeed
//! ```
//!
//! Whether bytes were tampered with is for the digest to say: when unpacking fails, the download is still finished
//! and verified, and its verdict counts first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use barge_oci::{Descriptor, Digest};
use barge_store::Store;
use tokio::task::JoinHandle;

use super::download::{Download, Opened};
use super::growth::Follower;
use super::{Pull, blocking, layer_id};
use crate::error::{Error, Result};
use crate::progress::{Meter, Phase};

/// A layer of an image.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) descriptor: Descriptor,
    pub(super) chain_id: Digest,
    /// Diff IDs, base first, this layer's last.
    pub(super) chain: Vec<Digest>,
}

impl Layer {
    pub(super) fn id(&self) -> String {
        layer_id(&self.descriptor)
    }

    /// True if it is unpacked and its blob is kept.
    pub(super) fn is_here(&self, store: &Store) -> bool {
        store.layers().contains(&self.chain_id) && store.blobs().contains(&self.descriptor.digest)
    }
}

impl Pull {
    pub(super) async fn obtain_layer(&self, layer: &Layer) -> Result<()> {
        let id = layer.id();
        let client = self.session.client().clone();
        if client.is_busy(layer.descriptor.digest) {
            self.progress.phase(&id, Phase::Waiting).await;
        }
        let _alone = client.alone_with(layer.descriptor.digest).await;
        if layer.is_here(&self.store) {
            self.progress.phase(&id, Phase::PullComplete).await;
            return Ok(());
        }
        if self.store.blobs().contains(&layer.descriptor.digest) {
            self.apply_stored(layer).await?;
        } else {
            self.download_and_apply(layer).await?;
        }
        self.progress.phase(&id, Phase::PullComplete).await;
        Ok(())
    }

    async fn apply_stored(&self, layer: &Layer) -> Result<()> {
        let (store, digest) = (self.store.clone(), layer.descriptor.digest);
        let file = blocking("opening a layer", move || store.blobs().open(&digest)).await?;
        self.progress.phase(&layer.id(), Phase::DownloadComplete).await;
        finished(self.spawn_apply(layer, file, Arc::new(AtomicBool::new(true)))).await
    }

    /// A download that continues an old one may find that the old part was wrong; then all of it is fetched, once.
    async fn download_and_apply(&self, layer: &Layer) -> Result<()> {
        match self.download_once(layer).await {
            Err((Error::Tampered { .. }, true)) => {
                tracing::debug!(layer = %layer.descriptor.digest, "a partial download was damaged");
                self.download_once(layer).await.map_err(|(error, _)| error)
            }
            other => other.map_err(|(error, _)| error),
        }
    }

    /// The error comes with whether bytes of an earlier try were part of it.
    async fn download_once(&self, layer: &Layer) -> Result<(), (Error, bool)> {
        let id = layer.id();
        let semaphore = self.session.client().downloads();
        if semaphore.available_permits() == 0 {
            self.progress.phase(&id, Phase::Waiting).await;
        }
        let fail = |error: Error| (error, false);
        let permit = semaphore.acquire_owned().await;
        let permit = permit.map_err(|_| fail(Error::Interrupted { doing: "download" }))?;
        let opened = Download::open(self, &layer.descriptor).await.map_err(fail)?;
        let Opened { download, follower } = opened;
        let resumed = download.resumed();
        let downloaded = Arc::new(AtomicBool::new(false));
        let apply = self.start_apply(layer, follower, &downloaded);
        if let Err(error) = download.run().await {
            // It ends by itself now. Who tries again must not meet it.
            let _ = apply.await;
            return Err((error, resumed));
        }
        drop(permit);
        downloaded.store(true, Ordering::Relaxed);
        self.progress.phase(&id, Phase::DownloadComplete).await;
        finished(apply).await.map_err(|error| (error, resumed))
    }

    fn start_apply(
        &self,
        layer: &Layer,
        follower: Follower,
        downloaded: &Arc<AtomicBool>,
    ) -> JoinHandle<Result<()>> {
        if self.store.layers().contains(&layer.chain_id) {
            // Only the blob was missing.
            return tokio::spawn(async { Ok(()) });
        }
        self.spawn_apply(layer, follower, Arc::clone(downloaded))
    }

    fn spawn_apply(
        &self,
        layer: &Layer,
        reader: impl std::io::Read + Send + 'static,
        downloaded: Arc<AtomicBool>,
    ) -> JoinHandle<Result<()>> {
        let work = self.apply(layer, reader, downloaded);
        let unpackers = self.session.client().unpackers();
        tokio::spawn(async move {
            // The download does not wait for this: it goes to the disk, and is read from there.
            let _permit = unpackers.acquire_owned().await;
            let applied = tokio::task::spawn_blocking(work).await;
            applied.unwrap_or(Err(Error::Interrupted { doing: "unpacking a layer" }))
        })
    }

    fn apply<R: std::io::Read + Send + 'static>(
        &self,
        layer: &Layer,
        reader: R,
        downloaded: Arc<AtomicBool>,
    ) -> impl FnOnce() -> Result<()> + Send + use<R> {
        let (store, lease, layer) = (self.store.clone(), Arc::clone(&self.lease), layer.clone());
        let meter = Mutex::new(Meter::new(&self.progress, &layer.id()));
        move || {
            let total = layer.descriptor.size;
            let show = |current: u64| {
                // Until all of it is there, the download is what is shown.
                if downloaded.load(Ordering::Relaxed) {
                    let mut meter = meter.lock().unwrap_or_else(PoisonError::into_inner);
                    meter.show(|| Phase::Extracting { current: current.min(total), total });
                }
            };
            let diff_id = layer.chain.last().copied().unwrap_or(layer.descriptor.digest);
            let media_type = &layer.descriptor.media_type;
            let applied = store.layers().apply(reader, media_type, &diff_id, &layer.chain, &show);
            drop(lease);
            applied.map_err(|source| Error::Store { doing: "failed to register layer", source })
        }
    }
}

async fn finished(apply: JoinHandle<Result<()>>) -> Result<()> {
    apply.await.unwrap_or(Err(Error::Interrupted { doing: "unpacking a layer" }))
}
