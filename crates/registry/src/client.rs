//! What lives as long as the daemon: configuration, connections, tokens, and the limits all operations share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use barge_oci::Digest;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, Semaphore};

use crate::config::Config;
use crate::endpoint::Endpoints;
use crate::token::Tokens;
use crate::transport::Transport;

/// A client of any number of registries. Clones share everything.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    transport: Transport,
    endpoints: Endpoints,
    tokens: Tokens,
    downloads: Arc<Semaphore>,
    uploads: Arc<Semaphore>,
    unpackers: Arc<Semaphore>,
    busy: Mutex<HashMap<Digest, Weak<AsyncMutex<()>>>>,
}

impl Client {
    /// A client that has spoken to nobody yet.
    pub fn new(config: Config) -> Self {
        // Whoever asks rustls for its default gets the provider that the whole tree uses. Someone may have been
        // first; there is only one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let downloads = Arc::new(Semaphore::new(config.max_concurrent_downloads.max(1)));
        let uploads = Arc::new(Semaphore::new(config.max_concurrent_uploads.max(1)));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let unpackers = Arc::new(Semaphore::new(cores.max(config.max_concurrent_downloads)));
        Self {
            inner: Arc::new(Inner {
                transport: Transport::new(config),
                endpoints: Endpoints::default(),
                tokens: Tokens::default(),
                downloads,
                uploads,
                unpackers,
                busy: Mutex::default(),
            }),
        }
    }

    /// What it was told at its start.
    pub fn config(&self) -> &Config {
        self.inner.transport.config()
    }

    pub(crate) fn transport(&self) -> &Transport {
        &self.inner.transport
    }

    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.inner.endpoints
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.inner.tokens
    }

    pub(crate) fn downloads(&self) -> Arc<Semaphore> {
        Arc::clone(&self.inner.downloads)
    }

    pub(crate) fn uploads(&self) -> Arc<Semaphore> {
        Arc::clone(&self.inner.uploads)
    }

    /// Unpacking needs buffers and a processor, so there is no use in more at once than either allows.
    pub(crate) fn unpackers(&self) -> Arc<Semaphore> {
        Arc::clone(&self.inner.unpackers)
    }

    /// Waits until no other operation of this process works on the blob, and keeps others away until dropped.
    pub(crate) async fn alone_with(&self, blob: Digest) -> OwnedMutexGuard<()> {
        self.turn(blob).lock_owned().await
    }

    /// True if another operation works on the blob at this moment.
    pub(crate) fn is_busy(&self, blob: Digest) -> bool {
        self.turn(blob).try_lock().is_err()
    }

    fn turn(&self, blob: Digest) -> Arc<AsyncMutex<()>> {
        let mut busy = self.inner.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = busy.get(&blob).and_then(Weak::upgrade) {
            return turn;
        }
        busy.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(AsyncMutex::new(()));
        busy.insert(blob, Arc::downgrade(&turn));
        turn
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Client").field("config", self.config()).finish_non_exhaustive()
    }
}
