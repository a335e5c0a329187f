//! `DATA_ROOT/networks/ID.json`: what a network is.

use std::collections::BTreeMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use barge_network::Network as Definition;
use barge_network::ipam::Pool;
use ipnet::Ipv4Net;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Bridge, Entry};
use crate::error::{Error, Result};

const VERSION: u32 = 1;

/// A network as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Document {
    version: u32,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) created: Timestamp,
    pub(super) driver: DriverName,
    pub(super) attachable: bool,
    pub(super) labels: BTreeMap<String, String>,
    /// As they came with the request.
    pub(super) options: BTreeMap<String, String>,
    pub(super) bridge: Option<BridgeDocument>,
}

/// The word for it in the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum DriverName {
    Bridge,
    Host,
    Null,
}

impl DriverName {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Host => "host",
            Self::Null => "null",
        }
    }
}

/// What is particular to a bridge network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct BridgeDocument {
    pub(super) definition: Definition,
    /// Where addresses are taken from that nobody asked for; `None` is the whole subnet.
    pub(super) range: Option<Ipv4Net>,
    /// Addresses that are not given out, by name.
    pub(super) reserved: BTreeMap<String, Ipv4Addr>,
    /// Whether the user chose the subnet: only then may containers choose their addresses.
    pub(super) chosen_subnet: bool,
}

impl Document {
    /// A network that is made now.
    pub(super) fn new(id: String, name: &str, driver: DriverName) -> Self {
        Self {
            version: VERSION,
            name: name.to_owned(),
            id,
            created: crate::clock::now(),
            driver,
            attachable: false,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            bridge: None,
        }
    }

    /// The network with nobody in it.
    pub(super) fn into_entry(self) -> Entry {
        let bridge = self.bridge.as_ref().map(|bridge| {
            let definition = bridge.definition.clone();
            let range = bridge.range.unwrap_or(definition.subnet);
            let mut pool = Pool::with_range(definition.subnet, range, definition.gateway);
            for address in bridge.reserved.values() {
                // One that is the gateway's, or named twice, is out of reach already.
                let _ = pool.allocate(Some(*address));
            }
            Bridge { definition, pool: pool.into() }
        });
        Entry { document: self, bridge, members: BTreeMap::new().into() }
    }

    /// Replaces the document under `dir`.
    pub(super) fn write(&self, dir: &Path) -> Result<()> {
        let failed = || format!("saving network {}", self.name);
        let text = serde_json::to_vec(self).map_err(Error::failed(failed()))?;
        let temporary = dir.join(format!(".{}.json", self.id));
        fs::write(&temporary, text).map_err(Error::failed(failed()))?;
        fs::rename(&temporary, dir.join(format!("{}.json", self.id))).map_err(Error::failed(failed()))
    }

    /// Removes the document under `dir`; that there is none is no error.
    pub(super) fn erase(&self, dir: &Path) -> Result<()> {
        match fs::remove_file(dir.join(format!("{}.json", self.id))) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::failed(format!("removing network {}", self.name))(error))
            }
            _ => Ok(()),
        }
    }
}

/// The documents under `dir`, which is made if it is missing. One that is damaged is logged and left alone.
pub(super) fn read_all(dir: &Path) -> Result<Vec<Document>> {
    let failed = || format!("reading {}", dir.display());
    fs::create_dir_all(dir).map_err(Error::failed(format!("making {}", dir.display())))?;
    let mut documents = Vec::new();
    for entry in fs::read_dir(dir).map_err(Error::failed(failed()))? {
        let path = entry.map_err(Error::failed(failed()))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            // What a crash left of a write.
            let _ = fs::remove_file(&path);
            continue;
        }
        match read(&path) {
            Ok(document) => documents.push(document),
            Err(reason) => tracing::warn!(?path, reason, "a network that can't be read"),
        }
    }
    Ok(documents)
}

fn read(path: &Path) -> Result<Document, String> {
    let text = fs::read(path).map_err(|error| error.to_string())?;
    let document: Document = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if document.version > VERSION {
        return Err(format!("version {} is from a newer engine", document.version));
    }
    Ok(document)
}
