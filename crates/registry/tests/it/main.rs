//! The registry client against registries: a real one, and one that lies, breaks off, and sends people elsewhere.

#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod auth;
mod distribution;
mod disturbed;
mod hostile;
mod image;
mod mirrors;
mod registry;
mod server;
mod tls;

use std::path::Path;

use barge_oci::Reference;
use barge_registry::{Client, Config};
use barge_store::Store;

/// A store of its own, gone with the test.
struct Scratch {
    store: Store,
    directory: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(&directory.path().join("data")).unwrap();
        Self { store, directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Blobs that are there, whole.
    fn blobs(&self) -> usize {
        let blobs = self.path().join("data/image/blobs/sha256");
        blobs.read_dir().map_or(0, Iterator::count)
    }
}

/// A client that reads no directory of this machine.
fn client() -> Client {
    client_with(|_| {})
}

fn client_with(change: impl FnOnce(&mut Config)) -> Client {
    let mut config = Config { certs_dirs: Vec::new(), ..Config::default() };
    change(&mut config);
    Client::new(config)
}

fn reference(text: &str) -> Reference {
    Reference::parse_normalized(text).unwrap()
}
