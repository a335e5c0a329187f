//! What containers join: the default bridge, host and none, bridges that users make, and the endpoints of running
//! containers.
//!
//! ```text
//! DATA_ROOT/networks/ID.json     a network's definition; endpoints live in memory and in the runs' bundles
//! ```
//!
//! `containers/start.rs` calls [`Networks::build`] on a blocking thread beside the shim's start, and
//! [`Networks::tear_down`] when the container has ended or its start failed. What `build` made is kept beside the
//! container's bundle as [`Attachment`]s, so that a later daemon can take it over ([`Networks::restore`]).

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use barge_api::networks::EndpointSettings;
use barge_network::ipam::{Pool, SubnetPool};
use barge_network::{Bridges, Endpoint, Network as Definition};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

mod build;
mod connect;
mod create;
mod document;
mod list;
mod open;
mod remove;
mod restore;
mod subnets;

pub use connect::Running;
use document::Document;

/// The network that containers join if they name none.
pub const DEFAULT: &str = "bridge";

/// The networks that every engine has; they can't be removed, nor others have their names.
pub const PREDEFINED: [&str; 3] = [DEFAULT, "host", "none"];

/// All networks of one engine.
pub struct Networks {
    dir: PathBuf,
    driver: Bridges,
    pools: Vec<SubnetPool>,
    default_binding: std::net::IpAddr,
    /// By ID. Held for look-ups and changes in memory only, but while a network is made or removed: two of those
    /// must not choose the same subnet.
    entries: RwLock<BTreeMap<String, Arc<Entry>>>,
}

/// One network and who is in it.
struct Entry {
    document: Document,
    /// `None` for host and none, which are no network of ours.
    bridge: Option<Bridge>,
    /// What each container got here, by its ID.
    members: Mutex<BTreeMap<String, EndpointSettings>>,
}

/// What a bridge network has beyond its document.
struct Bridge {
    definition: Definition,
    pool: Mutex<Pool>,
}

/// What a container that starts wants of the network. `host` and `container:X` never get here; `none` comes with
/// no endpoints.
#[derive(Clone, Debug)]
pub struct SandboxRequest {
    /// The container's ID, 64 hex digits.
    pub container: String,
    /// The container's name, without a slash.
    pub name: String,
    /// Network name or ID (`bridge` is the default one) to what is wanted there.
    pub endpoints: BTreeMap<String, EndpointSettings>,
    pub ports: Vec<PortRequest>,
}

/// One port to publish, as validated by `containers/spec/ports.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRequest {
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// `None` takes the network's default binding.
    pub host_ip: Option<std::net::IpAddr>,
    /// First and last host port to choose from; `None` is any free one.
    pub host_ports: Option<(u16, u16)>,
}

/// A network namespace with all its endpoints.
#[derive(Debug)]
pub struct Sandbox {
    pub netns: OwnedFd,
    /// Bound sockets that keep the published ports from others: the shim holds them as long as the container runs.
    pub held: Vec<OwnedFd>,
    pub attachments: Vec<Attachment>,
}

/// One endpoint of a running container; lives in its bundle.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attachment {
    /// The name the container knows the network by, the key in `NetworkSettings.Networks`.
    pub network: String,
    /// All of it as `inspect` shows it: IDs, gateway, address, prefix length, MAC address, aliases, DNS names.
    pub settings: EndpointSettings,
    /// Published ports of this endpoint, `PORT/PROTO` to where they are bound.
    pub ports: barge_api::containers::PortMap,
    /// What the driver made; `None` on `none`.
    #[serde(default)]
    endpoint: Option<Endpoint>,
}

impl Networks {
    /// The ID of a network, by name or ID.
    pub fn id(&self, name: &str) -> Result<String> {
        self.find(name).map(|entry| entry.document.id.clone())
    }

    /// Everything on the host that will keep containers from being reached, in words, for `info`. Blocks shortly.
    pub fn warnings(&self) -> Vec<String> {
        use barge_network::Driver;
        self.driver.obstacles()
    }

    /// Finds a network by its ID, its name or the unambiguous start of its ID, in that order.
    fn find(&self, wanted: &str) -> Result<Arc<Entry>> {
        let missing = || Error::not_found(format!("network {wanted} not found"));
        if wanted.is_empty() {
            return Err(missing());
        }
        let entries = self.entries();
        let named = || entries.values().find(|entry| entry.document.name == wanted);
        if let Some(entry) = entries.get(wanted).or_else(named) {
            return Ok(Arc::clone(entry));
        }
        let matching: Vec<_> =
            entries.range(wanted.to_owned()..).take_while(|(id, _)| id.starts_with(wanted)).collect();
        match matching.as_slice() {
            [] => Err(missing()),
            [(_, entry)] => Ok(Arc::clone(entry)),
            several => Err(Error::invalid(format!(
                "network {wanted} is ambiguous ({} matches found on ID prefix)",
                several.len()
            ))),
        }
    }

    fn entries(&self) -> RwLockReadGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn entries_mut(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn members(&self) -> MutexGuard<'_, BTreeMap<String, EndpointSettings>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_default(&self) -> bool {
        self.document.name == DEFAULT
    }
}

impl Bridge {
    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether every engine has a network of that name.
fn is_predefined(name: &str) -> bool {
    PREDEFINED.contains(&name)
}

/// 64 random hex digits.
fn random_id() -> Result<String> {
    let bytes: [u8; 32] = ring::rand::generate(&ring::rand::SystemRandom::new())
        .map_err(|_| Error::system("the system has no random numbers"))?
        .expose();
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests;
