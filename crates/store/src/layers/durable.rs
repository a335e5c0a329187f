//! Makes published layers durable in the background.
//!
//! ```text
//! published, "boot": <this boot> ── after a while: syncfs ──> no "boot": survives a power cut
//!      │ power cut: the boot id is another one
//!      └──> suspect: extracted again from its blobs (`images/heal.rs`), which were synced before
//! ```
//!
//! A crash of the daemon loses nothing that was written, only a crash of the machine does. Waiting for `syncfs` before
//! publishing would make a pull wait for whatever else is being written to that disk.

use super::catalog::Catalog;
use barge_oci::Digest;
use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long to wait for more layers, so that one sync is for all layers of a pull.
const DELAY: Duration = Duration::from_secs(5);

/// The layers that still have to be synced, and who does it.
#[derive(Debug, Default)]
pub(super) struct Pending {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct State {
    layers: BTreeSet<Digest>,
    running: bool,
    stopped: bool,
}

impl Pending {
    /// Has the layer synced in a while.
    pub(super) fn add(&self, catalog: &Arc<Catalog>, chain_id: Digest) {
        let mut state = self.shared.lock();
        state.layers.insert(chain_id);
        if std::mem::replace(&mut state.running, true) {
            return;
        }
        drop(state);
        let (shared, catalog) = (Arc::clone(&self.shared), Arc::clone(catalog));
        let worker = std::thread::Builder::new().name("sync".to_owned()).spawn(move || shared.run(&catalog));
        match worker {
            Ok(worker) => {
                let before = self.thread.lock().unwrap_or_else(PoisonError::into_inner).replace(worker);
                // It has ended: it has said so by `running`.
                before.map(JoinHandle::join);
            }
            Err(error) => {
                self.shared.lock().running = false;
                tracing::warn!(%error, "layers are not synced for now");
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.wake.notify_all();
        let thread = self.thread.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    // A set of digests is right after any panic.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, catalog: &Catalog) {
        let mut state = self.lock();
        while !state.layers.is_empty() {
            state = self.wait(state);
            if state.stopped {
                break;
            }
            let batch = std::mem::take(&mut state.layers);
            drop(state);
            if let Err(error) = catalog.sync(&batch, |chain_id| self.lock().layers.contains(chain_id)) {
                tracing::warn!(%error, "layers are not synced for now");
            }
            state = self.lock();
        }
        state.running = false;
    }

    /// Waits for [`DELAY`] or the end.
    fn wait<'a>(&self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let deadline = Instant::now() + DELAY;
        while !state.stopped {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state
    }
}

/// Tells one boot of the machine from another.
pub(super) fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}
