//! Making a bridge network.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use barge_api::events::{EventType, action};
use barge_api::networks::{IpamConfig, NetworkCreateRequest, NetworkCreateResponse};
use barge_network::{Driver, Network as Definition};
use ipnet::Ipv4Net;

use super::document::{BridgeDocument, Document, DriverName};
use super::open::{first_address, subnet_of};
use super::subnets::{self, Choosing};
use super::{Networks, is_predefined, random_id};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Networks {
    /// Makes a network and brings its bridge up. Blocks.
    pub fn create(&self, engine: &Engine, request: NetworkCreateRequest) -> Result<NetworkCreateResponse> {
        check(&request)?;
        let _choosing = Choosing::begin();
        // Held until the network is known: of two with one name, or one subnet, the second is refused.
        let mut entries = self.entries_mut();
        if entries.values().any(|entry| entry.document.name == request.name) {
            return Err(Error::conflict(format!("network with name {} already exists", request.name)));
        }
        let others: Vec<Ipv4Net> = entries.values().filter_map(|entry| subnet_of(&entry.document)).collect();
        let document = self.plan(request, &others)?;
        let Some(bridge) = &document.bridge else { return Err(Error::system("a network without a bridge")) };
        self.driver.up(&bridge.definition).map_err(|error| Error::system(error.to_string()))?;
        if let Err(error) = document.write(&self.dir) {
            // The first failure is the one to tell.
            let _ = self.driver.down(&bridge.definition);
            return Err(error);
        }
        let (id, name) = (document.id.clone(), document.name.clone());
        entries.insert(id.clone(), Arc::new(document.into_entry()));
        drop(entries);
        let attributes =
            BTreeMap::from([("name".to_owned(), name), ("type".to_owned(), "bridge".to_owned())]);
        engine.events.publish(EventType::Network, action::CREATE, &id, attributes);
        Ok(NetworkCreateResponse { id, warning: String::new() })
    }

    /// The network that a request asks for, on a subnet that overlaps with none of `others`.
    pub(super) fn plan(&self, request: NetworkCreateRequest, others: &[Ipv4Net]) -> Result<Document> {
        let id = random_id()?;
        let ipam = request.ipam.unwrap_or_default();
        let config = match ipam.config.as_slice() {
            [] => IpamConfig::default(),
            [config] => config.clone(),
            _ => return Err(Error::invalid("bridge driver supports only one IPv4 subnet")),
        };
        let chosen_subnet = !config.subnet.is_empty();
        let subnet =
            if chosen_subnet { parse_subnet(&config.subnet)? } else { subnets::choose(&self.pools, others)? };
        if others.iter().any(|other| subnets::overlap(*other, subnet)) {
            return Err(Error::forbidden(
                "invalid pool request: Pool overlaps with other one on this address space",
            ));
        }
        let options = Options::read(&request.options)?;
        let definition = Definition {
            bridge: options.bridge.unwrap_or_else(|| format!("br-{}", &id[..12])),
            id: id.clone(),
            name: request.name.clone(),
            subnet,
            gateway: gateway(&config, subnet)?,
            mtu: options.mtu.unwrap_or(1500),
            masquerade: options.masquerade,
            icc: options.icc,
            internal: request.internal,
            default_binding: options.host_binding.unwrap_or(self.default_binding),
        };
        let bridge = BridgeDocument {
            range: range(&config, subnet)?,
            reserved: reserved(&config, subnet)?,
            definition,
            chosen_subnet,
        };
        let mut document = Document::new(id, &request.name, DriverName::Bridge);
        document.attachable = request.attachable;
        document.labels = request.labels;
        document.options = request.options;
        document.bridge = Some(bridge);
        Ok(document)
    }
}

/// Refuses names that can't be and kinds that this engine does not have.
pub(super) fn check(request: &NetworkCreateRequest) -> Result<()> {
    check_name(&request.name)?;
    check_kind(request)
}

fn check_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid("invalid name: name is empty"));
    }
    if is_predefined(name) {
        return Err(Error::forbidden(format!("operation is not permitted on predefined {name} network")));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.as_bytes()[0].is_ascii_alphanumeric() && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "invalid network name: \"{name}\": only \"[a-zA-Z0-9][a-zA-Z0-9_.-]*\" are allowed"
    )))
}

/// Refuses what this engine has no driver for.
fn check_kind(request: &NetworkCreateRequest) -> Result<()> {
    match request.driver.as_str() {
        "" | "bridge" | "default" => {}
        one @ ("host" | "null") => {
            return Err(Error::forbidden(format!("only one instance of \"{one}\" network is allowed")));
        }
        other => return Err(Error::not_found(format!("plugin \"{other}\" not found"))),
    }
    if request.scope == "swarm" || request.ingress {
        return Err(Error::forbidden("This node is not a swarm manager."));
    }
    if request.config_only || request.config_from.as_ref().is_some_and(|from| !from.network.is_empty()) {
        return Err(Error::not_implemented("configuration-only networks are not implemented"));
    }
    if request.enable_ipv6 == Some(true) {
        return Err(Error::not_implemented("IPv6 networks are not implemented"));
    }
    if request.enable_ipv4 == Some(false) {
        return Err(Error::invalid("IPv4 or IPv6 must be enabled"));
    }
    match request.ipam.as_ref().map(|ipam| ipam.driver.as_str()) {
        None | Some("" | "default") => Ok(()),
        Some(other) => Err(Error::not_found(format!("plugin \"{other}\" not found"))),
    }
}

fn parse_subnet(text: &str) -> Result<Ipv4Net> {
    let subnet: Ipv4Net = text
        .parse()
        .map_err(|_| Error::invalid(format!("invalid subnet {text}: invalid CIDR block notation")))?;
    if subnet != subnet.trunc() {
        return Err(Error::invalid(format!("invalid subnet {text}: it should be {}", subnet.trunc())));
    }
    Ok(subnet)
}

fn inside(subnet: Ipv4Net, what: &str, text: &str) -> Result<Ipv4Addr> {
    let address: Ipv4Addr =
        text.parse().map_err(|_| Error::invalid(format!("invalid {what} {text}: invalid address")))?;
    if subnet.contains(&address) {
        return Ok(address);
    }
    Err(Error::invalid(format!("invalid {what} {text}: parent subnet {subnet} doesn't contain this address")))
}

fn gateway(config: &IpamConfig, subnet: Ipv4Net) -> Result<Ipv4Addr> {
    if config.gateway.is_empty() {
        return Ok(first_address(subnet));
    }
    inside(subnet, "gateway", &config.gateway)
}

fn range(config: &IpamConfig, subnet: Ipv4Net) -> Result<Option<Ipv4Net>> {
    if config.ip_range.is_empty() {
        return Ok(None);
    }
    let text = &config.ip_range;
    let range: Ipv4Net = text
        .parse()
        .map_err(|_| Error::invalid(format!("invalid ip-range {text}: invalid CIDR block notation")))?;
    if !subnet.contains(&range) {
        return Err(Error::invalid(format!(
            "invalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"
        )));
    }
    Ok(Some(range.trunc()))
}

fn reserved(config: &IpamConfig, subnet: Ipv4Net) -> Result<BTreeMap<String, Ipv4Addr>> {
    let named = config.auxiliary_addresses.iter();
    named.map(|(name, text)| Ok((name.clone(), inside(subnet, "auxiliary address", text)?))).collect()
}

/// Options of the bridge driver; others are kept and shown, without effect.
struct Options {
    bridge: Option<String>,
    mtu: Option<u32>,
    icc: bool,
    masquerade: bool,
    host_binding: Option<IpAddr>,
}

impl Options {
    fn read(options: &BTreeMap<String, String>) -> Result<Self> {
        let value = |key: &str| options.get(&format!("com.docker.network.{key}")).map(String::as_str);
        let refuse = |key: &str, text: &str| {
            Error::invalid(format!("failed to parse com.docker.network.{key} value: {text:?}"))
        };
        let flag = |key: &str| match value(key) {
            None | Some("" | "true" | "1" | "t" | "T" | "TRUE" | "True") => Ok(true),
            Some("false" | "0" | "f" | "F" | "FALSE" | "False") => Ok(false),
            Some(text) => Err(refuse(key, text)),
        };
        let mtu = value("driver.mtu")
            .map(|text| text.parse().map_err(|_| refuse("driver.mtu", text)))
            .transpose()?;
        let bridge = value("bridge.name").filter(|name| !name.is_empty());
        if let Some(name) = bridge.filter(|name| name.len() > 15 || name.contains(['/', ' ', ':'])) {
            return Err(refuse("bridge.name", name));
        }
        let host_binding = value("bridge.host_binding_ipv4")
            .map(|text| text.parse().map_err(|_| refuse("bridge.host_binding_ipv4", text)))
            .transpose()?;
        Ok(Self {
            bridge: bridge.map(str::to_owned),
            mtu,
            icc: flag("bridge.enable_icc")?,
            masquerade: flag("bridge.enable_ip_masquerade")?,
            host_binding,
        })
    }
}
