//! `DATA_ROOT/containers/ID/container.json`: all that must outlive the daemon about one container.
//!
//! ```text
//! DATA_ROOT/containers/ID/container.json    this document, replaced whole
//!                         hosts, hostname, resolv.conf
//!                         ID-json.log[.1…], exit.json    written by the shim
//! ```
//!
//! A replacement is written beside the old one and renamed over it, so that a reader sees one or the other. It is not
//! flushed to the disk on the way of a start: after `kill -9` of the daemon nothing is missing, since the kernel
//! has it; for a power cut `sync` is called behind the back of a create.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use barge_api::containers::{BindOptions, ContainerConfig, HostConfig, MountPoint, MountType};
use barge_api::descriptor::Descriptor;
use barge_api::networks::EndpointSettings;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lifecycle::Status;
use crate::error::{Error, Result};

const VERSION: u32 = 1;
const FILE: &str = "container.json";

/// One container, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Document {
    version: u32,
    pub(crate) id: String,
    /// Without the slash the API puts before it.
    pub(crate) name: String,
    pub(crate) created: Timestamp,
    /// The image's ID, `sha256:…`.
    pub(crate) image: String,
    pub(crate) image_manifest: Option<Descriptor>,
    pub(crate) config: ContainerConfig,
    pub(crate) host_config: HostConfig,
    /// What is wanted of each network, by name.
    pub(crate) networks: BTreeMap<String, EndpointSettings>,
    pub(crate) mounts: Vec<MountRecord>,
    pub(crate) status: Status,
    /// Restarts by the policy since the last start by hand.
    pub(crate) restarts: u32,
    /// A stop or kill asked for the last end.
    pub(crate) manually_stopped: bool,
}

/// A mount with what the API does not show of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct MountRecord {
    pub(crate) point: MountPoint,
    pub(crate) bind: BindOptions,
    /// The options of a tmpfs.
    pub(crate) tmpfs_options: String,
    /// The part of a volume that is mounted; empty is all of it.
    pub(crate) subpath: String,
    /// Make the source's directory if it is missing at start.
    pub(crate) create_source: bool,
    /// The container's own volume, removed with it.
    pub(crate) anonymous: bool,
    /// Came with `--tmpfs`, which inspect shows elsewhere.
    pub(crate) unlisted: bool,
    /// A volume that is a file system to mount, not a directory.
    pub(crate) filesystem: Option<Filesystem>,
}

/// What `mount -t KIND -o OPTIONS DEVICE` mounts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Filesystem {
    pub(crate) kind: String,
    pub(crate) device: String,
    pub(crate) options: Vec<String>,
}

impl MountRecord {
    /// What is bound.
    pub(crate) fn path(&self) -> String {
        if self.subpath.is_empty() {
            return self.point.source.clone();
        }
        format!("{}/{}", self.point.source, self.subpath)
    }

    /// The volume's name, if it is one.
    pub(crate) fn volume(&self) -> Option<&str> {
        (self.point.kind == MountType::Volume).then_some(self.point.name.as_str())
    }
}

/// A new container's parts; the rest starts out empty.
#[derive(Debug)]
pub(crate) struct New {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) image: String,
    pub(crate) image_manifest: Option<Descriptor>,
    pub(crate) config: ContainerConfig,
    pub(crate) host_config: HostConfig,
    pub(crate) networks: BTreeMap<String, EndpointSettings>,
    pub(crate) mounts: Vec<MountRecord>,
}

impl Document {
    /// A container that never ran.
    pub(crate) fn new(new: New) -> Self {
        Self {
            version: VERSION,
            id: new.id,
            name: new.name,
            created: crate::clock::now(),
            image: new.image,
            image_manifest: new.image_manifest,
            config: new.config,
            host_config: new.host_config,
            networks: new.networks,
            mounts: new.mounts,
            status: Status::Created { failure: None },
            restarts: 0,
            manually_stopped: false,
        }
    }

    /// Replaces the document in a container's directory.
    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        let failed = || format!("saving container {}", self.id);
        let text = serde_json::to_vec(self).map_err(Error::failed(failed()))?;
        let (path, temporary) = (dir.join(FILE), dir.join(".container.json"));
        std::fs::write(&temporary, text).map_err(Error::failed(failed()))?;
        std::fs::rename(&temporary, &path).map_err(Error::failed(failed()))
    }

    /// Flushes the document in a container's directory to the disk. Slow: not for the way of a start.
    pub(crate) fn sync(dir: &Path) -> std::io::Result<()> {
        File::open(dir.join(FILE))?.sync_all()?;
        File::open(dir)?.sync_all()
    }

    /// Reads the document of a container's directory.
    ///
    /// # Errors
    /// [`ReadError::Missing`] if there is none: a container that was not made to the end.
    pub(crate) fn read(dir: &Path) -> Result<Self, ReadError> {
        let path = dir.join(FILE);
        let text = std::fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => ReadError::Missing,
            _ => ReadError::Damaged { path: path.clone(), cause: error.to_string() },
        })?;
        let damaged = |cause: String| ReadError::Damaged { path: path.clone(), cause };
        let document: Self = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if document.version != VERSION {
            return Err(damaged(format!("version {} is not known", document.version)));
        }
        Ok(document)
    }

    /// Path and arguments as `inspect` has them.
    pub(crate) fn command(&self) -> Vec<String> {
        super::spec::process::command(&self.config)
    }

    /// A document for tests of what is made from one.
    #[cfg(test)]
    pub(crate) fn sample(id: &str) -> Self {
        Self::new(New {
            id: id.to_owned(),
            name: "sample".to_owned(),
            image: "sha256:0".to_owned(),
            image_manifest: None,
            config: ContainerConfig::default(),
            host_config: HostConfig::default(),
            networks: BTreeMap::new(),
            mounts: Vec::new(),
        })
    }
}

/// Why a document could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("there is no document")]
    Missing,
    #[error("{path} is damaged: {cause}", path = path.display())]
    Damaged { path: PathBuf, cause: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_it_was_written() {
        let dir = std::env::temp_dir().join(format!("barge-document-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut document = Document::sample("abc");
        document.config.cmd = Some(vec!["true".to_owned()]);
        document.write(&dir).unwrap();
        document.restarts = 3;
        document.write(&dir).unwrap();
        Document::sync(&dir).unwrap();
        let read = Document::read(&dir).unwrap();
        assert_eq!((read.id.as_str(), read.restarts, read.command()), ("abc", 3, vec!["true".to_owned()]));
        std::fs::write(dir.join(FILE), "{").unwrap();
        assert!(matches!(Document::read(&dir), Err(ReadError::Damaged { .. })));
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(matches!(Document::read(&dir), Err(ReadError::Missing)));
    }
}
