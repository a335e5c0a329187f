//! How far a pull or a push is, told to whoever shows it.
//!
//! The channel is bounded. Changes of phase wait for room; mere numbers are dropped if there is none, and are sent
//! ten times a second at most.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

const CAPACITY: usize = 256;
const INTERVAL: Duration = Duration::from_millis(100);

/// Something to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The registry has the image: its layers follow.
    Found,
    /// A layer moved on. `id` are the first twelve digits of its blob's digest (pull) or diff ID (push).
    Layer { id: String, phase: Phase },
}

/// Where a layer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    PullingFsLayer,
    Waiting,
    AlreadyExists,
    /// Bytes.
    Downloading {
        current: u64,
        total: u64,
    },
    /// The connection broke; the next try is in so long.
    Retrying {
        pause: Duration,
    },
    Verifying,
    DownloadComplete,
    /// Bytes of the compressed layer.
    Extracting {
        current: u64,
        total: u64,
    },
    PullComplete,
    Preparing,
    /// Bytes.
    Pushing {
        current: u64,
        total: u64,
    },
    Pushed,
    /// The registry has it already.
    LayerExists,
    /// The registry took it over from another of its repositories.
    MountedFrom {
        repository: String,
    },
    /// The layer is not distributable and stays here.
    SkippedForeign,
}

/// The sending side. Clones send to the same place.
#[derive(Clone, Debug)]
pub struct Progress {
    sender: Option<mpsc::Sender<Event>>,
}

impl Progress {
    /// Both ends of a new channel.
    pub fn channel() -> (Self, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(CAPACITY);
        (Self { sender: Some(sender) }, receiver)
    }

    /// Nobody is looking.
    pub fn none() -> Self {
        Self { sender: None }
    }

    pub(crate) async fn found(&self) {
        self.send(Event::Found).await;
    }

    pub(crate) async fn phase(&self, id: &str, phase: Phase) {
        self.send(Event::Layer { id: id.to_owned(), phase }).await;
    }

    async fn send(&self, event: Event) {
        if let Some(sender) = &self.sender {
            // Nobody looks any more: no reason to stop.
            let _ = sender.send(event).await;
        }
    }

    fn hint(&self, id: &str, phase: Phase) {
        if let Some(sender) = &self.sender {
            let _ = sender.try_send(Event::Layer { id: id.to_owned(), phase });
        }
    }
}

/// Sends numbers of one layer, not too often.
#[derive(Debug)]
pub(crate) struct Meter {
    progress: Progress,
    id: String,
    last: Option<Instant>,
}

impl Meter {
    pub(crate) fn new(progress: &Progress, id: &str) -> Self {
        Self { progress: progress.clone(), id: id.to_owned(), last: None }
    }

    pub(crate) fn show(&mut self, phase: impl FnOnce() -> Phase) {
        let now = Instant::now();
        if self.last.is_none_or(|last| now.duration_since(last) >= INTERVAL) {
            self.last = Some(now);
            self.progress.hint(&self.id, phase());
        }
    }
}

/// The twelve digits that stand for a digest on a screen.
pub(crate) fn short_id(digest: &barge_oci::Digest) -> String {
    let mut hex = digest.hex();
    hex.truncate(12);
    hex
}
