//! Data that outlives containers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::Result;

/// All volumes of one engine.
pub struct Volumes {}

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

/// A volume ready to be mounted.
#[derive(Clone, Debug)]
pub struct Acquired {
    pub name: String,
    pub driver: String,
    /// `DATA_ROOT/volumes/NAME/_data`.
    pub path: PathBuf,
    /// True if this call made it.
    pub created: bool,
}

impl Volumes {
    /// Reads what is under `DATA_ROOT/volumes`.
    pub fn open(data_root: &Path) -> Result<Self> {
        let _ = data_root;
        Ok(Self {})
    }

    /// Finds the named volume or makes it (with a `create` event). Blocks shortly on the disk.
    pub fn acquire(&self, engine: &crate::Engine, request: &VolumeRequest) -> Result<Acquired> {
        let _ = (engine, request);
        Err(crate::Error::not_implemented("volumes"))
    }

    /// Removes a volume that its container made for itself, when the container goes with `v=1` or `--rm`.
    /// One that other containers use, or that is gone already, is left alone without an error.
    pub fn remove_anonymous(&self, engine: &crate::Engine, name: &str) -> Result<()> {
        let _ = (engine, name);
        Ok(())
    }
}
