//! The bridge driver: a network is a Linux bridge, an endpoint a veth pair onto it.
//!
//! ```text
//! join:   bridge known? ─ table stands? ─ veth pair ─ inner end up, address, route ─ ports
//!              │ no            │ no           └────────── undone if a later step fails ──┘
//!            set up         replace
//! leave:  ports ─ (veth goes with the sandbox; the reaper looks after 500 ms)
//! ```
//!
//! What exists is held in memory, so that a table or bridge that others removed can be put
//! back. Interface and table names are the caller's, so drivers of several engines on one host
//! don't meet. Works in the network namespace of the thread that calls.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use barge_sys::netlink;
use ipnet::Ipv4Net;
use netlink_packet_route::link::InfoBridgePort;

use crate::conntrack;
use crate::driver::Driver;
use crate::error::{Error, Result};
use crate::firewall::Firewall;
use crate::link::{Link, Veth};
use crate::network::{Endpoint, EndpointSpec, Network};
use crate::route::{RouteSocket, Setup};
use crate::sysctl;

mod reaper;

use reaper::Reaper;

/// All bridge networks of one engine.
#[derive(Debug)]
pub struct Bridges {
    firewall: Firewall,
    /// By network id.
    held: Mutex<BTreeMap<String, Held>>,
    reaper: Reaper,
}

/// A network that is up, and who is in it.
#[derive(Debug)]
struct Held {
    network: Network,
    bridge_index: u32,
    /// By veth name.
    endpoints: BTreeMap<String, Endpoint>,
}

impl Bridges {
    /// A driver whose firewall table has that name. Changes nothing on the host.
    pub fn open(table: &str) -> Result<Self> {
        let firewall = Firewall::open(table)?;
        Ok(Self { firewall, held: Mutex::new(BTreeMap::new()), reaper: Reaper::default() })
    }

    /// Destinations of the host's routes, which a new subnet must not overlap.
    pub fn host_routes() -> Result<Vec<Ipv4Net>> {
        let mut socket = open_socket()?;
        socket.routes().map_err(|source| Error::RouteList { source })
    }

    /// Whether the host has an interface of that name.
    pub fn has_interface(name: &str) -> Result<bool> {
        let mut socket = open_socket()?;
        let found = socket.find_link(name).map_err(|source| Error::LinkList { source })?;
        Ok(found.is_some())
    }

    /// The index of the network's bridge, set up if this driver has not seen it.
    fn bridge_index(&self, network: &Network) -> Result<u32> {
        let mut held = self.held();
        if let Some(known) = held.get(&network.id) {
            return Ok(known.bridge_index);
        }
        self.set_up(&mut held, network)
    }

    /// Bridge, sysctls and table: whatever of it is missing.
    fn set_up(&self, held: &mut BTreeMap<String, Held>, network: &Network) -> Result<u32> {
        let known = held.contains_key(&network.id);
        let done = self.try_set_up(held, network);
        if done.is_err() && !known {
            held.remove(&network.id);
            // The failure above is the one to tell.
            let _ = delete_link(&network.bridge);
        }
        done
    }

    fn try_set_up(&self, held: &mut BTreeMap<String, Held>, network: &Network) -> Result<u32> {
        let bridge_index = raise_bridge(network)?;
        let known = held.entry(network.id.clone()).or_insert_with(|| Held {
            network: network.clone(),
            bridge_index,
            endpoints: BTreeMap::new(),
        });
        if known.bridge_index != bridge_index {
            known.bridge_index = bridge_index;
            let links = open_socket()?.links().map_err(|source| Error::LinkList { source })?;
            mend_ports(known, &links)?;
        }
        if self.firewall.stands()? {
            self.firewall.add_network(network)?;
        } else {
            self.replace_table(held)?;
        }
        Ok(bridge_index)
    }

    /// Puts the table back if somebody has removed it.
    fn ensure_table(&self) -> Result<()> {
        if self.firewall.stands()? {
            return Ok(());
        }
        self.replace_table(&self.held())
    }

    fn replace_table(&self, held: &BTreeMap<String, Held>) -> Result<()> {
        self.firewall.replace(held.values().map(|one| (&one.network, one.endpoints.values().collect())))
    }

    /// Makes the pair. If the bridge has been removed behind our back it is set up again, once.
    fn create_veth(&self, network: &Network, spec: &EndpointSpec, netns: BorrowedFd<'_>) -> Result<String> {
        let mut socket = open_socket()?;
        let name = veth_name();
        let mut attempt = |bridge_index| {
            socket.create_veth(&Veth {
                host_name: &name,
                bridge_index,
                netns,
                inner_name: &spec.interface,
                inner_mac: spec.mac,
                mtu: network.mtu,
            })
        };
        let bridge_index = self.bridge_index(network)?;
        let mut result = attempt(bridge_index);
        if result.is_err() {
            let again = self.set_up(&mut self.held(), network)?;
            if again != bridge_index {
                result = attempt(again);
            }
        }
        result.map(|()| name).map_err(|source| Error::VethCreate {
            bridge: network.bridge.clone(),
            interface: spec.interface.clone(),
            source,
        })
    }

    fn remember(&self, network: &Network, endpoint: &Endpoint) {
        if let Some(known) = self.held().get_mut(&network.id) {
            known.endpoints.insert(endpoint.veth.clone(), endpoint.clone());
        }
    }

    fn forget(&self, network: &Network, endpoint: &Endpoint) {
        if let Some(known) = self.held().get_mut(&network.id) {
            known.endpoints.remove(&endpoint.veth);
        }
    }

    /// What follows the pair's creation in a join.
    fn furnish(&self, network: &Network, endpoint: &Endpoint, netns: BorrowedFd<'_>) -> Result<()> {
        configure_inside(network, &endpoint.spec, netns)?;
        adapt_port(network, &endpoint.veth)?;
        self.ensure_table()?;
        if !endpoint.spec.ports.is_empty() {
            self.firewall.publish(network, endpoint)?;
            // Advice from a table that others use too: the port works without for all who come new.
            if let Err(error) = conntrack::forget_udp(&endpoint.spec.ports) {
                tracing::warn!(%error, "connections to a published port were not forgotten");
            }
        }
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, BTreeMap<String, Held>> {
        // Every change of the map is one insert or remove, so a panic leaves it whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Driver for Bridges {
    fn up(&self, network: &Network) -> Result<()> {
        self.set_up(&mut self.held(), network).map(drop)
    }

    fn down(&self, network: &Network) -> Result<()> {
        let mut held = self.held();
        held.remove(&network.id);
        if held.is_empty() {
            self.firewall.remove()?;
        } else {
            self.firewall.remove_network(network)?;
        }
        drop(held);
        let bridge = network.bridge.clone();
        open_socket()?.delete_link(&bridge).map(drop).map_err(|source| Error::BridgeDown { bridge, source })
    }

    fn join(&self, network: &Network, spec: &EndpointSpec, netns: BorrowedFd<'_>) -> Result<Endpoint> {
        let veth = self.create_veth(network, spec, netns)?;
        let endpoint = Endpoint { spec: spec.clone(), veth };
        // Before the ports are published: a table that is replaced meanwhile has them then.
        self.remember(network, &endpoint);
        if let Err(error) = self.furnish(network, &endpoint, netns) {
            // The first failure is the one to tell; the reaper looks after the link once more.
            let _ = self.detach(network, &endpoint);
            return Err(error);
        }
        Ok(endpoint)
    }

    fn leave(&self, network: &Network, endpoint: &Endpoint) -> Result<()> {
        self.forget(network, endpoint);
        self.reaper.expect_gone(&endpoint.veth);
        self.firewall.withdraw(network, endpoint)
    }

    fn detach(&self, network: &Network, endpoint: &Endpoint) -> Result<()> {
        self.forget(network, endpoint);
        let withdrawn = self.firewall.withdraw(network, endpoint);
        delete_link(&endpoint.veth).inspect_err(|_| self.reaper.expect_gone(&endpoint.veth))?;
        withdrawn
    }

    fn reconcile(&self, actual: &[(Network, Vec<Endpoint>)]) -> Result<()> {
        let mut held = self.held();
        held.clear();
        for (network, endpoints) in actual {
            let bridge_index = raise_bridge(network)?;
            let endpoints = endpoints.iter().map(|one| (one.veth.clone(), one.clone())).collect();
            held.insert(network.id.clone(), Held { network: network.clone(), bridge_index, endpoints });
        }
        let links = open_socket()?.links().map_err(|source| Error::LinkList { source })?;
        for known in held.values() {
            mend_ports(known, &links)?;
        }
        if held.is_empty() {
            return self.firewall.remove();
        }
        self.replace_table(&held)
    }

    fn obstacles(&self) -> Vec<String> {
        self.firewall.obstacles()
    }
}

/// Makes sure that the bridge exists, is up and has the gateway's address and no other.
fn raise_bridge(network: &Network) -> Result<u32> {
    let bridge = &network.bridge;
    let failed = |source| Error::BridgeUp { bridge: bridge.clone(), source };
    sysctl::write("net/ipv4/ip_forward", "1")?;
    let mut socket = open_socket()?;
    if socket.find_link(bridge).map_err(failed)?.is_none() {
        match socket.create_bridge(bridge, network.gateway, network.mtu) {
            Err(error) if error.errno() != Some(EXISTS) => return Err(failed(error)),
            _ => {}
        }
    }
    let link = socket.find_link(bridge).map_err(failed)?;
    let link = link.filter(|link| link.kind == "bridge");
    let Some(link) = link else { return Err(Error::NotABridge { name: bridge.clone() }) };
    if !link.up || (network.mtu != 0 && link.mtu != network.mtu) {
        socket.bring_up(link.index, network.mtu).map_err(failed)?;
    }
    set_gateway(&mut socket, link.index, network).map_err(failed)?;
    // Answers to what the host sent from 127.0.0.1 come in here; see firewall/ruleset.rs.
    sysctl::write(&format!("net/ipv4/conf/{bridge}/route_localnet"), "1")?;
    Ok(link.index)
}

fn set_gateway(
    socket: &mut RouteSocket,
    index: u32,
    network: &Network,
) -> std::result::Result<(), netlink::Error> {
    let wanted = in_subnet(network, network.gateway);
    let found = socket.addresses(index)?;
    for stale in found.iter().filter(|address| **address != wanted) {
        socket.remove_address(index, *stale)?;
    }
    if found.contains(&wanted) { Ok(()) } else { socket.add_address(index, wanted) }
}

/// An address with its subnet's prefix length.
fn in_subnet(network: &Network, address: Ipv4Addr) -> Ipv4Net {
    // A prefix length taken from a subnet is always in range.
    Ipv4Net::new_assert(address, network.subnet.prefix_len())
}

/// Address, route and state of the inner end.
fn configure_inside(network: &Network, spec: &EndpointSpec, netns: BorrowedFd<'_>) -> Result<()> {
    let address = in_subnet(network, spec.address);
    let failed = |source| Error::Configure { interface: spec.interface.clone(), address, source };
    let mut socket = RouteSocket::open_in(netns).map_err(failed)?;
    let link = socket.find_link(&spec.interface).map_err(failed)?;
    let Some(link) = link else {
        return Err(Error::InterfaceMissing { interface: spec.interface.clone() });
    };
    let gateway = (spec.default_route && !network.internal).then_some(network.gateway);
    socket.set_up(&Setup { index: link.index, address, gateway }).map_err(failed)
}

/// Makes the bridge treat the port as the network asks, once its inner end is up. What is asked
/// depends on whether bridged packets pass the IP firewall (`br_netfilter`), the host's choice:
///
/// - They do: one for a published port gets its new destination while it is still a frame on
///   the bridge, and may have to leave by the port that it came from (hairpin). Neighbours that
///   must not talk are kept apart by the forward rules.
/// - They don't: nothing but the bridge itself can keep neighbours apart. Packets for published
///   ports go through the host's IP layer, to which isolation does not apply.
fn adapt_port(network: &Network, veth: &str) -> Result<()> {
    let failed = |source| Error::AdaptPort { link: veth.to_owned(), source };
    let mut socket = open_socket()?;
    // Ports, and a bridge that got its first one, send nothing until the kernel's link watch
    // has seen that they have a carrier now, in its own time: the first packet is lost and
    // repeated after a second. Asking for a link makes it look at once (since 6.8).
    let link = socket.find_link(veth).map_err(failed)?;
    socket.find_link(&network.bridge).map_err(failed)?;
    let Some(link) = link else { return Err(Error::InterfaceMissing { interface: veth.to_owned() }) };
    let behaviour = match (sysctl::is_on("net/bridge/bridge-nf-call-iptables"), network.icc) {
        (true, _) => InfoBridgePort::HairpinMode(true),
        (false, false) => InfoBridgePort::Isolated(true),
        (false, true) => return Ok(()),
    };
    socket.set_port(link.index, behaviour).map_err(failed)
}

/// After a restart: strangers leave the bridge, and lost ports come back to it.
fn mend_ports(known: &Held, links: &[Link]) -> Result<()> {
    for link in links.iter().filter(|link| link.kind == "veth") {
        let ours = known.endpoints.contains_key(&link.name);
        let attached = link.controller == Some(known.bridge_index);
        if attached && !ours {
            delete_link(&link.name)?;
        } else if ours && !attached {
            let bridge = known.network.bridge.clone();
            open_socket()?.attach(link.index, known.bridge_index).map_err(|source| Error::Attach {
                link: link.name.clone(),
                bridge,
                source,
            })?;
            adapt_port(&known.network, &link.name)?;
        }
    }
    Ok(())
}

fn delete_link(name: &str) -> Result<()> {
    let link = name.to_owned();
    open_socket()?.delete_link(name).map(drop).map_err(|source| Error::LinkRemove { link, source })
}

fn open_socket() -> Result<RouteSocket> {
    RouteSocket::open().map_err(|source| Error::Netlink { source })
}

/// `veth` and seven random hex digits. Not made from the container's id: the pair of its last
/// run may still be on its way out.
fn veth_name() -> String {
    let mut bytes = [0; 4];
    // With fewer bytes than asked for (before the kernel's pool is ready) the name is merely
    // less random; a clash is refused by the kernel.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    format!("veth{:07x}", u32::from_ne_bytes(bytes) >> 4)
}

const EXISTS: i32 = rustix::io::Errno::EXIST.raw_os_error();
