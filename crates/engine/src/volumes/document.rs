//! `volume.json`: what a volume is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

const FILE: &str = "volume.json";
const VERSION: u32 = 1;

/// How the directory of a volume in mid-deletion begins; no volume's name begins with a dot.
pub(super) const GRAVE: &str = ".removed-";

/// A volume as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Document {
    version: u32,
    pub(super) name: String,
    pub(super) driver: String,
    pub(super) created: Timestamp,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) options: BTreeMap<String, String>,
}

impl Document {
    pub(super) fn new(
        name: String,
        labels: BTreeMap<String, String>,
        options: BTreeMap<String, String>,
    ) -> Self {
        let driver = super::LOCAL.to_owned();
        Self { version: VERSION, name, driver, created: Timestamp::now(), labels, options }
    }

    /// Writes it under `dir`. Not synced: a volume that a power cut forgets was empty.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let failed = || format!("writing volume {}", self.name);
        let bytes = serde_json::to_vec(self).map_err(Error::failed(failed()))?;
        let temporary = dir.join("volume.json.tmp");
        fs::write(&temporary, bytes).map_err(Error::failed(failed()))?;
        fs::rename(&temporary, dir.join(FILE)).map_err(Error::failed(failed()))
    }
}

/// The documents under `root`.
///
/// A directory without one is what a crash left between `mkdir` and the first write: it is removed if it is empty.
pub(super) fn read_all(root: &Path) -> Result<Vec<Document>> {
    let failed = || format!("reading {}", root.display());
    let mut documents = Vec::new();
    for entry in fs::read_dir(root).map_err(Error::failed(failed()))? {
        let entry = entry.map_err(Error::failed(failed()))?;
        let dir = entry.path();
        if entry.file_name().to_string_lossy().starts_with(GRAVE) {
            let _ = fs::remove_dir_all(&dir);
            continue;
        }
        match read(&dir) {
            Ok(Some(document)) if dir.file_name().is_some_and(|name| *name == *document.name) => {
                documents.push(document);
            }
            Ok(Some(document)) => {
                tracing::warn!(?dir, name = document.name, "a volume in the wrong directory")
            }
            Ok(None) => remove_remains(&dir),
            Err(reason) => tracing::warn!(?dir, reason, "a volume that can't be read"),
        }
    }
    Ok(documents)
}

fn read(dir: &Path) -> std::result::Result<Option<Document>, String> {
    let bytes = match fs::read(dir.join(FILE)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let document: Document = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    if document.version > VERSION {
        return Err(format!("version {} is from a newer engine", document.version));
    }
    Ok(Some(document))
}

/// Removes the empty shell of a volume; one that holds data stays for a person to look at.
fn remove_remains(dir: &Path) {
    let _ = fs::remove_file(dir.join("volume.json.tmp"));
    let _ = fs::remove_dir(dir.join("_data"));
    let _ = fs::remove_dir(dir);
}
