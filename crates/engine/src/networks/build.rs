//! A container's network at its start and end: namespace, endpoints, ports.
//!
//! ```text
//! build:      hold ports ─ namespace ─ for each network: member, address, interface, rules
//! tear_down:  for each attachment: rules, address, member    (interfaces go with the namespace)
//! ```

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use barge_api::containers::{PortBinding, PortMap};
use barge_api::events::{EventType, action};
use barge_api::networks::EndpointSettings;
use barge_network::ports::{self, Reserved};
use barge_network::{Driver, EndpointSpec, MacAddr, PublishedPort, sandbox};

use super::{Attachment, Bridge, Entry, Networks, PortRequest, Sandbox, SandboxRequest, random_id};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// Who is to be joined to a network, and how.
pub(super) struct Joining<'a> {
    pub(super) container: &'a str,
    pub(super) name: &'a str,
    pub(super) endpoint_id: String,
    pub(super) interface: String,
    pub(super) default_route: bool,
    pub(super) wanted: &'a EndpointSettings,
    pub(super) ports: Vec<PublishedPort>,
    pub(super) netns: BorrowedFd<'a>,
}

/// A network that a container wants to be in.
struct Place<'a> {
    entry: Arc<Entry>,
    /// The name by which the container knows it.
    key: &'a str,
    endpoint_id: String,
    wanted: &'a EndpointSettings,
}

impl Networks {
    /// Makes namespace, endpoints and published ports, and tells `connect` events. Blocks. On failure it has
    /// removed what it made.
    pub fn build(&self, engine: &Engine, request: &SandboxRequest) -> Result<Sandbox> {
        let mut attachments = Vec::new();
        match self.build_into(request, &mut attachments) {
            Ok((netns, held)) => {
                for attachment in &attachments {
                    self.tell(engine, action::CONNECT, &request.container, attachment);
                }
                Ok(Sandbox { netns, held, attachments })
            }
            Err(error) => {
                for attachment in attachments.iter().rev() {
                    if let Err(error) = self.undo(&request.container, attachment) {
                        tracing::warn!(container = request.container, %error, "clean-up failed");
                    }
                }
                Err(error.within("failed to set up container networking"))
            }
        }
    }

    /// Takes the endpoints of a container that has ended down again, with `disconnect` events. Blocks; parts that
    /// are gone already are no error.
    pub fn tear_down(&self, engine: &Engine, container: &str, attachments: &[Attachment]) -> Result<()> {
        let mut first_failure = Ok(());
        for attachment in attachments {
            let undone = self.undo(container, attachment);
            self.tell(engine, action::DISCONNECT, container, attachment);
            first_failure = first_failure.and(undone);
        }
        first_failure
    }

    fn build_into(
        &self,
        request: &SandboxRequest,
        attachments: &mut Vec<Attachment>,
    ) -> Result<(OwnedFd, Vec<OwnedFd>)> {
        let mut endpoints = self.in_order(&request.endpoints)?;
        // One endpoint has the way to the outside, and ports.
        let outlet =
            endpoints.iter().position(|place| place.entry.bridge.as_ref().is_some_and(Bridge::is_open));
        let mut reserved = match outlet {
            Some(index) => reserve(&endpoints[index], request)?,
            None => Vec::new(),
        };
        let held = reserved.iter_mut().filter_map(|one| one.socket.take()).collect();
        let published: Vec<PublishedPort> = reserved.iter().map(|one| one.published).collect();
        let netns = sandbox::create().map_err(|error| Error::system(error.to_string()))?;
        if endpoints.is_empty() {
            attachments.push(self.nowhere(request)?);
        }
        for (index, place) in endpoints.drain(..).enumerate() {
            let joining = Joining {
                container: &request.container,
                name: &request.name,
                endpoint_id: place.endpoint_id,
                interface: format!("eth{index}"),
                default_route: outlet == Some(index),
                wanted: place.wanted,
                ports: if outlet == Some(index) { published.clone() } else { Vec::new() },
                netns: netns.as_fd(),
            };
            attachments.push(self.join(&place.entry, place.key, &joining)?);
        }
        Ok((netns, held))
    }

    /// The wanted networks; the one that gives the default route, and gets `eth0`, first.
    fn in_order<'a>(&self, wanted: &'a BTreeMap<String, EndpointSettings>) -> Result<Vec<Place<'a>>> {
        let mut places = Vec::with_capacity(wanted.len());
        for (key, wanted) in wanted {
            let entry = self.find(key)?;
            check_wishes(&entry, wanted)?;
            places.push(Place { entry, key, endpoint_id: random_id()?, wanted });
        }
        // Stable: networks of one priority stay in the order of their names.
        places.sort_by_key(|place| std::cmp::Reverse(place.wanted.gw_priority));
        Ok(places)
    }

    /// Joins a container to one network. On failure nothing of it is left.
    pub(super) fn join(&self, entry: &Entry, key: &str, joining: &Joining<'_>) -> Result<Attachment> {
        let Some(bridge) = &entry.bridge else {
            return Err(Error::forbidden(format!(
                "container cannot be connected to network \"{}\"",
                entry.document.name
            )));
        };
        self.reserve_place(entry, joining)?;
        let joined = self.make_endpoint(entry, bridge, key, joining);
        if joined.is_err() {
            entry.members().remove(joining.container);
        }
        joined
    }

    /// Makes the container a member, so that the network can't be removed from under it.
    fn reserve_place(&self, entry: &Entry, joining: &Joining<'_>) -> Result<()> {
        let entries = self.entries();
        if !entries.contains_key(&entry.document.id) {
            return Err(Error::not_found(format!("network {} not found", entry.document.name)));
        }
        let mut members = entry.members();
        if members.contains_key(joining.container) {
            return Err(Error::forbidden(format!(
                "endpoint with name {} already exists in network {}",
                joining.name, entry.document.name
            )));
        }
        members.insert(joining.container.to_owned(), EndpointSettings::default());
        Ok(())
    }

    fn make_endpoint(
        &self,
        entry: &Entry,
        bridge: &Bridge,
        key: &str,
        joining: &Joining<'_>,
    ) -> Result<Attachment> {
        let wanted_address = wanted_address(joining.wanted)?;
        let address =
            bridge.pool().allocate(wanted_address).map_err(|error| Error::system(error.to_string()))?;
        let joined = mac_address(joining.wanted, address).and_then(|mac| {
            let spec = EndpointSpec {
                id: joining.container.to_owned(),
                interface: joining.interface.clone(),
                address,
                mac,
                default_route: joining.default_route,
                ports: joining.ports.clone(),
            };
            self.driver
                .join(&bridge.definition, &spec, joining.netns)
                .map_err(|error| Error::system(error.to_string()))
        });
        let endpoint = match joined {
            Ok(endpoint) => endpoint,
            Err(error) => {
                bridge.pool().release(address);
                return Err(error);
            }
        };
        let settings = settings(entry, bridge, joining, &endpoint.spec);
        entry.members().insert(joining.container.to_owned(), settings.clone());
        let ports = port_map(&endpoint.spec.ports);
        Ok(Attachment { network: key.to_owned(), settings, ports, endpoint: Some(endpoint) })
    }

    /// The one attachment of a container without a network.
    fn nowhere(&self, request: &SandboxRequest) -> Result<Attachment> {
        let entry = self.find("none")?;
        let settings = EndpointSettings {
            network_id: entry.document.id.clone(),
            endpoint_id: random_id()?,
            ..EndpointSettings::default()
        };
        entry.members().insert(request.container.clone(), settings.clone());
        Ok(Attachment { network: "none".to_owned(), settings, ports: PortMap::new(), endpoint: None })
    }

    /// Takes one endpoint down. The network may be gone, forced away while the container was in it.
    fn undo(&self, container: &str, attachment: &Attachment) -> Result<()> {
        let entry = self.entries().get(&attachment.settings.network_id).cloned();
        let Some(entry) = entry else { return Ok(()) };
        let mut left = Ok(());
        if let (Some(bridge), Some(endpoint)) = (&entry.bridge, &attachment.endpoint) {
            left = self.driver.leave(&bridge.definition, endpoint);
            bridge.pool().release(endpoint.spec.address);
        }
        entry.members().remove(container);
        left.map_err(|error| Error::system(error.to_string()))
    }

    pub(super) fn tell(&self, engine: &Engine, action: &str, container: &str, attachment: &Attachment) {
        let id = &attachment.settings.network_id;
        let Some(entry) = self.entries().get(id).cloned() else { return };
        let attributes = BTreeMap::from([
            ("container".to_owned(), container.to_owned()),
            ("name".to_owned(), entry.document.name.clone()),
            ("type".to_owned(), entry.document.driver.as_str().to_owned()),
        ]);
        engine.events.publish(EventType::Network, action, id, attributes);
    }
}

impl Bridge {
    /// Whether there is a way to the outside.
    fn is_open(&self) -> bool {
        !self.definition.internal
    }
}

/// Refuses what a network can't give.
pub(super) fn check_wishes(entry: &Entry, wanted: &EndpointSettings) -> Result<()> {
    let name = &entry.document.name;
    let refuse = |what: &str| {
        Err(Error::invalid(format!("invalid config for network {name}: invalid endpoint settings:\n{what}")))
    };
    let fixed = wanted.ipam_config.as_ref().is_some_and(|config| !config.ipv4_address.is_empty());
    if entry.is_default() {
        if fixed {
            return refuse("user specified IP address is supported on user defined networks only");
        }
        if !wanted.aliases.is_empty() {
            return refuse("network-scoped alias is supported only for containers in user defined networks");
        }
    } else if fixed && !entry.document.bridge.as_ref().is_some_and(|bridge| bridge.chosen_subnet) {
        return refuse(
            "user specified IP address is supported only when connecting to networks with user configured subnets",
        );
    }
    Ok(())
}

fn wanted_address(wanted: &EndpointSettings) -> Result<Option<Ipv4Addr>> {
    let text = wanted.ipam_config.as_ref().map_or("", |config| &config.ipv4_address);
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Error::invalid(format!("invalid IPv4 address: {text}")))
}

fn mac_address(wanted: &EndpointSettings, address: Ipv4Addr) -> Result<MacAddr> {
    if wanted.mac_address.is_empty() {
        return Ok(MacAddr::from_ip(address));
    }
    wanted
        .mac_address
        .parse()
        .map_err(|_| Error::invalid(format!("invalid MAC address: {}", wanted.mac_address)))
}

/// Claims the host's ports for the endpoint that gets them.
fn reserve(place: &Place<'_>, request: &SandboxRequest) -> Result<Vec<Reserved>> {
    let Some(bridge) = &place.entry.bridge else { return Ok(Vec::new()) };
    let failed = |error: Error| {
        error.within(format!(
            "driver failed programming external connectivity on endpoint {} ({})",
            request.name, place.endpoint_id
        ))
    };
    request.ports.iter().map(|port| reserve_one(bridge, port).map_err(failed)).collect()
}

fn reserve_one(bridge: &Bridge, port: &PortRequest) -> Result<Reserved> {
    let protocol =
        port.protocol.parse().map_err(|_| Error::invalid(format!("invalid protocol: {}", port.protocol)))?;
    let host_ip = port.host_ip.unwrap_or(bridge.definition.default_binding);
    let host_ports = port.host_ports.map(|(first, last)| first..=last);
    let wanted = ports::PortRequest { container_port: port.container_port, protocol, host_ip, host_ports };
    let mut reserved = ports::reserve(std::slice::from_ref(&wanted)).map_err(|error| {
        let range = match port.host_ports {
            Some((first, last)) if first != last => format!(":{first}-{last}"),
            Some((first, _)) => format!(":{first}"),
            None => String::new(),
        };
        Error::system(format!("failed to bind host port {host_ip}{range}/{protocol}: {}", reason(&error)))
    })?;
    reserved.pop().ok_or_else(|| Error::system("no port was reserved"))
}

/// Why a port can't be had, in Go's words: the system's, in small letters and without the number.
pub(super) fn reason(error: &barge_network::Error) -> String {
    if error.is_port_taken() {
        return "address already in use".to_owned();
    }
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// What `inspect` shows of an endpoint.
fn settings(entry: &Entry, bridge: &Bridge, joining: &Joining<'_>, spec: &EndpointSpec) -> EndpointSettings {
    let definition = &bridge.definition;
    EndpointSettings {
        network_id: entry.document.id.clone(),
        endpoint_id: joining.endpoint_id.clone(),
        gateway: if definition.internal { String::new() } else { definition.gateway.to_string() },
        ip_address: spec.address.to_string(),
        ip_prefix_len: i64::from(definition.subnet.prefix_len()),
        mac_address: spec.mac.to_string(),
        dns_names: if entry.is_default() { Vec::new() } else { dns_names(joining) },
        ..joining.wanted.clone()
    }
}

/// Every name that neighbours know the container by: its own, its short ID and the aliases, each once.
fn dns_names(joining: &Joining<'_>) -> Vec<String> {
    let short = joining.container.get(..12).unwrap_or(joining.container);
    let mut names = vec![joining.name.to_owned()];
    for name in joining.wanted.aliases.iter().map(String::as_str).chain([short]) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn port_map(ports: &[PublishedPort]) -> PortMap {
    let mut map = PortMap::new();
    for port in ports {
        let binding =
            PortBinding { host_ip: port.host_ip.to_string(), host_port: port.host_port.to_string() };
        let key = format!("{}/{}", port.container_port, port.protocol);
        map.entry(key).or_default().get_or_insert_default().push(binding);
    }
    map
}
