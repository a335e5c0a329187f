//! Data that outlives containers: the `local` driver, and the only one.
//!
//! ```text
//! DATA_ROOT/volumes/NAME/volume.json   what it is (version, driver, options, labels, time)
//!                        _data/        what it holds
//! ```
//!
//! A volume with `type`, `o` and `device` options is not mounted on the host: a container gets the file system
//! mounted in its own mount namespace ([`Source::Filesystem`]), so that nothing is left to be unmounted when the
//! daemon dies. What that changes against Docker: a `tmpfs` volume is not shared between running containers.

mod create;
mod document;
mod list;
mod name;
mod options;
mod populate;
mod remove;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use barge_api::volumes::Volume;
use jiff::Timestamp;

use crate::error::{Error, Result};
use document::Document;

pub use remove::Missing;

/// The only driver.
pub const LOCAL: &str = "local";

/// The label of a volume that a container made for itself, without a name of the user's.
pub const ANONYMOUS: &str = "com.docker.volume.anonymous";

/// All volumes of one engine.
pub struct Volumes {
    root: PathBuf,
    entries: Mutex<BTreeMap<String, Entry>>,
}

/// One volume and who is about to use it.
struct Entry {
    document: Document,
    hold: Weak<()>,
}

/// What a container asks for when a volume is mounted in it.
#[derive(Clone, Debug, Default)]
pub struct VolumeRequest {
    /// `None` makes an anonymous one, with a random name.
    pub name: Option<String>,
    /// Empty is `local`.
    pub driver: String,
    pub options: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
}

/// A volume ready to be mounted. As long as it is kept the volume can't be removed: it covers the time until the
/// container that uses it is known.
#[derive(Clone, Debug)]
pub struct Acquired {
    pub name: String,
    pub driver: String,
    /// `DATA_ROOT/volumes/NAME/_data`, or the directory that a `bind` volume stands for.
    pub path: PathBuf,
    /// What to mount.
    pub source: Source,
    /// True if this call made it.
    pub created: bool,
    /// True if its name was made up.
    pub anonymous: bool,
    #[expect(dead_code, reason = "kept for its reference count")]
    hold: Arc<()>,
}

/// What a volume is to the container that mounts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Bind [`Acquired::path`].
    Directory,
    /// Mount this in the container, as `mount -t KIND -o OPTIONS DEVICE` would.
    Filesystem { kind: String, device: String, options: Vec<String> },
}

impl Volumes {
    /// Reads what is under `DATA_ROOT/volumes`. A volume whose document is damaged is logged and left alone.
    pub fn open(data_root: &Path) -> Result<Self> {
        let root = data_root.join("volumes");
        std::fs::create_dir_all(&root).map_err(Error::failed(format_args!("creating {}", root.display())))?;
        let documents = document::read_all(&root)?;
        let entries = documents
            .into_iter()
            .map(|document| (document.name.clone(), Entry { document, hold: Weak::new() }))
            .collect();
        Ok(Self { root, entries: Mutex::new(entries) })
    }

    /// Everything about one; 404 if there is none.
    pub fn inspect(&self, name: &str) -> Result<Volume> {
        let entries = self.entries();
        let entry = entries.get(name).ok_or_else(|| no_such_volume(name))?;
        Ok(self.describe(&entry.document))
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn data(&self, name: &str) -> PathBuf {
        self.dir(name).join("_data")
    }

    fn describe(&self, document: &Document) -> Volume {
        Volume {
            created_at: seconds(document.created),
            driver: document.driver.clone(),
            labels: document.labels.clone(),
            mountpoint: self.data(&document.name).to_string_lossy().into_owned(),
            name: document.name.clone(),
            options: document.options.clone(),
            scope: "local".to_owned(),
            status: None,
            usage_data: None,
        }
    }
}

fn no_such_volume(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

/// A time to the second, as the volume API has it.
fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
