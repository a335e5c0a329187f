//! What can go wrong in this crate: each variant is an operation and its object.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use barge_sys::netlink;
use ipnet::Ipv4Net;

use crate::network::Protocol;

/// The crate's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on networks failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No netlink socket.
    #[error("cannot reach the kernel's network configuration: {source}")]
    Netlink { source: netlink::Error },
    /// A new network namespace could not be made.
    #[error("cannot create a network namespace: {source}")]
    SandboxCreate { source: io::Error },
    /// The loopback of a new network namespace could not be brought up.
    #[error("cannot bring up the loopback interface: {source}")]
    LoopbackUp { source: netlink::Error },
    /// The bridge could not be created or set up.
    #[error("cannot set up bridge {bridge}: {source}")]
    BridgeUp { bridge: String, source: netlink::Error },
    /// The bridge could not be removed.
    #[error("cannot remove bridge {bridge}: {source}")]
    BridgeDown { bridge: String, source: netlink::Error },
    /// A link of that name exists and is no bridge.
    #[error("link {name} exists and is not a bridge")]
    NotABridge { name: String },
    /// The veth pair could not be created.
    #[error("cannot create interface {interface} on bridge {bridge}: {source}")]
    VethCreate { bridge: String, interface: String, source: netlink::Error },
    /// The veth pair could not be removed.
    #[error("cannot remove link {link}: {source}")]
    LinkRemove { link: String, source: netlink::Error },
    /// The veth's inner end is not in the sandbox.
    #[error("interface {interface} is missing in the sandbox")]
    InterfaceMissing { interface: String },
    /// A bridge port could not be set to what its network asks.
    #[error("cannot set up bridge port {link}: {source}")]
    AdaptPort { link: String, source: netlink::Error },
    /// A link could not be put back onto its bridge.
    #[error("cannot attach link {link} to bridge {bridge}: {source}")]
    Attach { link: String, bridge: String, source: netlink::Error },
    /// The links could not be listed.
    #[error("cannot list links: {source}")]
    LinkList { source: netlink::Error },
    /// Address or routes could not be set inside the sandbox.
    #[error("cannot configure {address} on interface {interface}: {source}")]
    Configure { interface: String, address: Ipv4Net, source: netlink::Error },
    /// The host's routes could not be listed.
    #[error("cannot list the host's routes: {source}")]
    RouteList { source: netlink::Error },
    /// A file under /proc/sys could not be written.
    #[error("cannot set {path} to {value}: {source}", path = path.display())]
    Sysctl { path: PathBuf, value: &'static str, source: io::Error },
    /// The nf_tables transaction was refused.
    #[error("cannot change the firewall table {table} ({operation}): {source}")]
    Firewall { table: String, operation: String, source: netlink::Error },
    /// The host port can't be had, most often because something else has it.
    #[error("{source}")]
    PortBind { host: std::net::SocketAddr, protocol: Protocol, source: io::Error },
    /// No port of the wanted range is free.
    #[error("all ports of {first}-{last}/{protocol} are allocated")]
    PortRangeTaken { first: u16, last: u16, protocol: Protocol },
    /// Only IPv4 addresses of the host can be published.
    #[error("cannot publish on {host}: not an IPv4 address")]
    PortAddress { host: std::net::IpAddr },
    /// Every address of the pool is taken.
    #[error("no available IPv4 addresses on this network's address pools: {subnet}")]
    PoolExhausted { subnet: Ipv4Net },
    /// The wanted address is taken.
    #[error("Address already in use")]
    AddressTaken { address: Ipv4Addr },
    /// The wanted address can't be given to an endpoint of this network.
    #[error("Address {address} is not usable in subnet {subnet}")]
    AddressUnusable { address: Ipv4Addr, subnet: Ipv4Net },
    /// No subnet is left that the host does not use itself.
    #[error("all predefined address pools have been fully subnetted")]
    SubnetsExhausted,
}
