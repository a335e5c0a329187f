//! Opening: the networks that are kept, and those that every engine has.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, RwLock};

use barge_network::{Bridges, Driver, Network as Definition};
use ipnet::Ipv4Net;

use super::document::{self, BridgeDocument, Document, DriverName};
use super::subnets::{self, Choosing};
use super::{DEFAULT, Networks, random_id};
use crate::config::Config;
use crate::error::{Error, Result};

/// The data root whose names carry no suffix.
const USUAL_ROOT: &str = "/var/lib/barge";

impl Networks {
    /// Reads `DATA_ROOT/networks`, makes the networks that every engine has, and brings the default bridge up. If
    /// that fails the first container that joins it is told why: others work without.
    pub fn open(config: &Config) -> Result<Self> {
        let dir = config.data_root.join("networks");
        let mut documents = document::read_all(&dir)?;
        let suffix = suffix(&config.data_root);
        let driver =
            Bridges::open(&format!("barge{suffix}")).map_err(Error::failed("opening the firewall"))?;
        let pools = subnets::pools(config);
        for (name, driver) in [("host", DriverName::Host), ("none", DriverName::Null)] {
            if !documents.iter().any(|document| document.name == name) {
                let document = Document::new(random_id()?, name, driver);
                document.write(&dir)?;
                documents.push(document);
            }
        }
        let choosing = Choosing::begin();
        if config.no_default_bridge {
            documents.retain(|document| document.name != DEFAULT);
        } else {
            let name = if suffix.is_empty() { "barge0".to_owned() } else { format!("barge{suffix}") };
            let kept = documents.iter().position(|document| document.name == DEFAULT);
            let kept = kept.map(|index| documents.remove(index));
            let others = documents.iter().filter_map(subnet_of).collect::<Vec<_>>();
            let settled = default_bridge(config, &pools, &others, name, kept.clone())?;
            if kept.as_ref() != Some(&settled) {
                settled.write(&dir)?;
            }
            if let Some(bridge) = &settled.bridge
                && let Err(error) = driver.up(&bridge.definition)
            {
                tracing::warn!(%error, "the default bridge is not up");
            }
            documents.push(settled);
        }
        drop(choosing);
        let entries =
            documents.into_iter().map(|document| (document.id.clone(), Arc::new(document.into_entry())));
        let entries = RwLock::new(entries.collect());
        Ok(Self { dir, driver, pools, default_binding: config.default_binding, entries })
    }
}

/// An engine that ends takes down, on the host, every network that nobody is in; the next engine brings it up
/// again. Containers that live on keep theirs.
impl Drop for Networks {
    fn drop(&mut self) {
        for entry in self.entries().values() {
            if let Some(bridge) = &entry.bridge
                && entry.members().is_empty()
                && let Err(error) = self.driver.down(&bridge.definition)
            {
                tracing::warn!(network = entry.document.name, %error, "a network was not taken down");
            }
        }
    }
}

pub(super) fn subnet_of(document: &Document) -> Option<Ipv4Net> {
    document.bridge.as_ref().map(|bridge| bridge.definition.subnet)
}

/// What tells the interfaces and tables of several engines on one host apart: nothing for the usual one, six
/// digits of the root's hash for others.
fn suffix(data_root: &Path) -> String {
    if data_root == Path::new(USUAL_ROOT) {
        return String::new();
    }
    let root = std::fs::canonicalize(data_root).unwrap_or_else(|_| data_root.to_owned());
    let hash = ring::digest::digest(&ring::digest::SHA256, root.as_os_str().as_encoded_bytes());
    hash.as_ref()[..3].iter().fold("-".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// The default bridge as the configuration wants it, on the subnet that it had if that can be.
fn default_bridge(
    config: &Config,
    pools: &[barge_network::ipam::SubnetPool],
    others: &[Ipv4Net],
    name: String,
    kept: Option<Document>,
) -> Result<Document> {
    let (subnet, gateway) = match (config.bip, kept.as_ref().and_then(|document| document.bridge.as_ref())) {
        (Some(bip), _) => (bip.trunc(), bip.addr()),
        (None, Some(kept)) if still_fits(kept)? => (kept.definition.subnet, kept.definition.gateway),
        (None, _) => {
            let subnet = subnets::choose(pools, others)?;
            (subnet, first_address(subnet))
        }
    };
    let mut document = match kept {
        Some(document) => document,
        None => Document::new(random_id()?, DEFAULT, DriverName::Bridge),
    };
    let definition = Definition {
        id: document.id.clone(),
        name: DEFAULT.to_owned(),
        bridge: name,
        subnet,
        gateway,
        mtu: config.mtu.unwrap_or(1500),
        masquerade: config.ip_masquerade,
        icc: config.icc,
        internal: false,
        default_binding: config.default_binding,
    };
    document.options = default_options(&definition);
    document.bridge = Some(BridgeDocument {
        definition,
        range: config.fixed_cidr.filter(|range| subnet.contains(&range.network())),
        reserved: BTreeMap::new(),
        chosen_subnet: false,
    });
    Ok(document)
}

/// A subnet is kept while its bridge stands. After a reboot it is kept unless the host has got a route there.
fn still_fits(kept: &BridgeDocument) -> Result<bool> {
    let standing =
        Bridges::has_interface(&kept.definition.bridge).map_err(Error::failed("finding the bridge"))?;
    Ok(standing || !subnets::clashes(kept.definition.subnet)?)
}

/// The address behind the network's own.
pub(super) fn first_address(subnet: Ipv4Net) -> std::net::Ipv4Addr {
    subnet.hosts().next().unwrap_or_else(|| subnet.network())
}

fn default_options(definition: &Definition) -> BTreeMap<String, String> {
    let option = |key: &str, value: String| (format!("com.docker.network.{key}"), value);
    BTreeMap::from([
        option("bridge.default_bridge", "true".to_owned()),
        option("bridge.enable_icc", definition.icc.to_string()),
        option("bridge.enable_ip_masquerade", definition.masquerade.to_string()),
        option("bridge.host_binding_ipv4", definition.default_binding.to_string()),
        option("bridge.name", definition.bridge.clone()),
        option("driver.mtu", definition.mtu.to_string()),
    ])
}
