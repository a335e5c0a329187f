//! Makes sure that the links of endpoints that left are gone.
//!
//! They go with their sandbox, at no cost to us; deleting one waits for the kernel's readers
//! while it holds the lock that every start needs. But a sandbox lives on if somebody else holds
//! it (`nsenter`, a container that shares it). So one thread looks, a little later, and deletes
//! what is still there.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::route::RouteSocket;

/// How long a sandbox may take to go. The kernel does it in its own time: mostly within some
/// ten milliseconds, longer when hundreds go at once.
const GRACE: Duration = Duration::from_millis(500);

/// Looks after links; its thread starts with the first, and ends with the driver.
#[derive(Debug, Default)]
pub(super) struct Reaper {
    worker: Mutex<Option<Worker>>,
}

#[derive(Debug)]
struct Worker {
    links: Sender<(Instant, String)>,
    thread: JoinHandle<()>,
}

impl Reaper {
    /// The link is to be gone soon.
    pub(super) fn expect_gone(&self, link: &str) {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.is_none() {
            let (sender, receiver) = mpsc::channel();
            let spawned = std::thread::Builder::new().name("veth-reaper".to_owned());
            match spawned.spawn(move || watch(&receiver)) {
                Ok(thread) => *worker = Some(Worker { links: sender, thread }),
                // What stays behind now is found by the next start's reconcile.
                Err(error) => tracing::warn!(%error, link, "cannot look after a link"),
            }
        }
        if let Some(worker) = worker.as_ref() {
            // The thread ends only when this sender is dropped.
            let _ = worker.links.send((Instant::now() + GRACE, link.to_owned()));
        }
    }
}

impl Drop for Reaper {
    fn drop(&mut self) {
        let worker = self.worker.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Worker { links, thread }) = worker {
            drop(links);
            let _ = thread.join();
        }
    }
}

/// Takes links in the order in which they are due, which is that of their arrival. When the
/// driver goes, nothing is waited for.
fn watch(links: &Receiver<(Instant, String)>) {
    let mut pending: VecDeque<(Instant, String)> = VecDeque::new();
    loop {
        let wait = match pending.front() {
            Some((due, _)) => due.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        };
        match links.recv_timeout(wait) {
            Ok(link) => pending.push_back(link),
            Err(RecvTimeoutError::Timeout) => {
                if let Some((_, link)) = pending.pop_front() {
                    remove_if_there(&link);
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    for (_, link) in pending {
        remove_if_there(&link);
    }
}

fn remove_if_there(link: &str) {
    let removed = RouteSocket::open().and_then(|mut socket| match socket.find_link(link)? {
        Some(_) => socket.delete_link(link),
        None => Ok(false),
    });
    match removed {
        Ok(true) => tracing::debug!(link, "removed the link of an endpoint whose sandbox lives on"),
        Ok(false) => {}
        Err(error) => tracing::warn!(%error, link, "cannot remove a link"),
    }
}
