//! What the daemon tells a new shim: `shim.json`, beside the OCI `config.json` in the bundle.
//!
//! The daemon writes both before it spawns the shim and never touches them again. Whether the container has
//! a terminal is `process.terminal` of the specification.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use barge_runtime::Root;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The version of `shim.json` that this program writes and reads.
const VERSION: u32 = 1;

/// The container that a shim is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// The document's version, 1.
    pub version: u32,
    /// The container's 64-hex id.
    pub id: String,
    /// Where its root filesystem comes from.
    pub root: Root,
    /// `name|uid[:group|gid]`, looked up inside the container.
    #[serde(default)]
    pub user: Option<String>,
    /// Further groups, by name or number, looked up inside the container.
    #[serde(default)]
    pub groups: Vec<String>,
    /// What becomes of its standard input.
    #[serde(default)]
    pub stdin: Stdin,
    /// Where its output goes besides attached clients.
    #[serde(default)]
    pub log: LogConfig,
    /// Where the [`crate::ExitRecord`] is written, outside the bundle.
    pub exit_file: PathBuf,
    /// Whether the record may be lost in a crash of the machine: the container is removed at its end anyway.
    #[serde(default)]
    pub volatile: bool,
    /// Where compiled seccomp filters are kept.
    #[serde(default)]
    pub seccomp_cache: Option<PathBuf>,
    /// Columns and rows of its terminal to begin with.
    #[serde(default)]
    pub console_size: Option<(u16, u16)>,
}

/// What becomes of a process's standard input.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stdin {
    /// It reads `/dev/null` (a terminal: nobody types).
    #[default]
    Closed,
    /// It stays open when an attached client goes; the next one goes on writing.
    Open,
    /// It is closed when the first attached client's input ends (a terminal stays open, as in Docker).
    Once,
}

/// Where a container's output is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogConfig {
    /// Nowhere.
    #[default]
    None,
    /// Docker's `json-file`.
    JsonFile(JsonFileConfig),
}

/// The options of the `json-file` log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JsonFileConfig {
    /// The current file; older ones are `path.1`, `path.2`, … or `path.1.gz`, ….
    pub path: PathBuf,
    /// Bytes after which a new file is begun; none: never.
    #[serde(default)]
    pub max_size: Option<u64>,
    /// How many files are kept, the current one included; 0 means 1.
    #[serde(default)]
    pub max_file: u32,
    /// Whether older files are compressed with gzip.
    #[serde(default)]
    pub compress: bool,
    /// Written into every entry (`labels`, `env`, `tag` options, already resolved).
    #[serde(default)]
    pub attrs: BTreeMap<String, String>,
}

impl Config {
    /// A container that reads nothing and keeps no log.
    pub fn new(id: impl Into<String>, root: Root, exit_file: impl Into<PathBuf>) -> Self {
        Self {
            version: VERSION,
            id: id.into(),
            root,
            user: None,
            groups: Vec::new(),
            stdin: Stdin::Closed,
            log: LogConfig::None,
            exit_file: exit_file.into(),
            volatile: false,
            seccomp_cache: None,
            console_size: None,
        }
    }

    /// Reads `shim.json` of a bundle.
    pub fn load(bundle: &Path) -> Result<Self> {
        let path = bundle.join("shim.json");
        let bytes = fs::read(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let config: Self =
            serde_json::from_slice(&bytes).map_err(|source| Error::Decode { path: path.clone(), source })?;
        if config.version != VERSION {
            return Err(Error::Version { path, found: config.version });
        }
        Ok(config)
    }

    /// Writes `shim.json` into a bundle. It is complete before the shim is spawned, so it isn't renamed into place.
    pub fn save(&self, bundle: &Path) -> Result<()> {
        let path = bundle.join("shim.json");
        let bytes = serde_json::to_vec(self).map_err(|source| Error::Encode { source })?;
        fs::write(&path, bytes).map_err(|source| Error::Write { path, source })
    }
}
