//! One worker for each digest: who comes second waits, looks again, and finds the work done.

use barge_oci::Digest;
use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The digests that somebody works on.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    held: Mutex<HashSet<Digest>>,
    released: Condvar,
}

impl Claims {
    /// Waits until nobody works on `digest`, then holds it.
    pub(crate) fn claim(self: &Arc<Self>, digest: Digest) -> Claim {
        let mut held = self.lock();
        while !held.insert(digest) {
            held = self.released.wait(held).unwrap_or_else(PoisonError::into_inner);
        }
        Claim { claims: Arc::clone(self), digest }
    }

    /// Whether somebody works on `digest`.
    pub(crate) fn is_held(&self, digest: &Digest) -> bool {
        self.lock().contains(digest)
    }

    // A set of digests is right after any panic.
    fn lock(&self) -> MutexGuard<'_, HashSet<Digest>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to work on one digest, given back on drop.
#[derive(Debug)]
pub(crate) struct Claim {
    claims: Arc<Claims>,
    digest: Digest,
}

impl Claim {
    /// What is held.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.lock().remove(&self.digest);
        self.claims.released.notify_all();
    }
}
