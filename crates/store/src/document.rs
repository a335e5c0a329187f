//! Small documents replaced as a whole: written beside, synced, renamed over.
//!
//! A reader sees the old document or the new one, also after a power cut: the file is synced before
//! the rename and the directory after it.

use crate::error::{Error, OnFile, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

/// No document of the store is larger.
const MAX_DOCUMENT: u64 = 256 << 20;

/// Whether a document must outlive a power cut, or only a crash of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// Synced to the disk.
    PowerCut,
    /// Left to the page cache: it can be made anew, or something else syncs it.
    Crash,
}

/// Replaces `path` by `document` as JSON.
pub(crate) fn replace<T: Serialize>(path: &Path, document: &T, durability: Durability) -> Result<()> {
    let bytes = serde_json::to_vec(document)
        .map_err(|e| Error::Document { path: path.to_owned(), reason: e.to_string() })?;
    replace_bytes(path, &bytes, durability)
}

/// Writes the first document at `path`, in a directory that nobody sees yet: there is nothing to replace.
pub(crate) fn create<T: Serialize>(path: &Path, document: &T) -> Result<()> {
    let bytes = serde_json::to_vec(document)
        .map_err(|e| Error::Document { path: path.to_owned(), reason: e.to_string() })?;
    fs::write(path, bytes).on("write", path)
}

/// Replaces `path` by `bytes`.
pub(crate) fn replace_bytes(path: &Path, bytes: &[u8], durability: Durability) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(directory)
        .on("create file in", directory)?;
    file.write_all(bytes).on("write", path)?;
    if durability == Durability::PowerCut {
        file.as_file().sync_data().on("sync", path)?;
    }
    file.persist(path).map_err(|e| e.error).on("rename to", path)?;
    if durability == Durability::PowerCut {
        sync_directory(directory)?;
    }
    Ok(())
}

/// Makes the names in `directory` durable.
pub(crate) fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory).and_then(|dir| dir.sync_all()).on("sync", directory)
}

/// Reads the document at `path`; `None` if there is none.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).on("open", path),
    };
    let mut bytes = Vec::new();
    file.take(MAX_DOCUMENT).read_to_end(&mut bytes).on("read", path)?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|e| Error::Document { path: path.to_owned(), reason: e.to_string() })
}

/// Removes the file at `path`, if it is there.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e).on("remove", path),
        _ => Ok(()),
    }
}
