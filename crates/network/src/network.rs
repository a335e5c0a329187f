//! The words of this crate: a network, an endpoint in it, a port published for it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::address::MacAddr;

/// One layer-2 network on this host: a bridge with one IPv4 subnet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// 64 hex digits.
    pub id: String,
    /// What the user calls it.
    pub name: String,
    /// The bridge's interface name, at most 15 bytes.
    pub bridge: String,
    /// Where endpoints get their addresses.
    pub subnet: Ipv4Net,
    /// The bridge's own address, inside `subnet`.
    pub gateway: Ipv4Addr,
    /// Of the bridge and of every endpoint; 0 leaves the kernel's default.
    pub mtu: u32,
    /// Whether packets that leave the host get the host's address.
    pub masquerade: bool,
    /// Whether endpoints may reach each other directly.
    pub icc: bool,
    /// Whether the network is cut off from everything but the host.
    pub internal: bool,
    /// Host address on which ports are published that name none.
    pub default_binding: IpAddr,
}

/// What an endpoint is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSpec {
    /// The container's id.
    pub id: String,
    /// The interface's name inside the sandbox, `eth0`.
    pub interface: String,
    pub address: Ipv4Addr,
    pub mac: MacAddr,
    /// Whether the sandbox's default route goes through this endpoint.
    pub default_route: bool,
    pub ports: Vec<PublishedPort>,
}

/// An endpoint that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    pub spec: EndpointSpec,
    /// The name of the pair's host end, `veth…`.
    pub veth: String,
}

/// A transport protocol whose ports can be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Protocol {
    /// The number in the IP header.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

/// The text is no protocol that can be published.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid protocol: {0}")]
pub struct UnknownProtocol(String);

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Self, UnknownProtocol> {
        match text {
            "tcp" => Ok(Self::Tcp),
            "udp" => Ok(Self::Udp),
            "sctp" => Ok(Self::Sctp),
            _ => Err(UnknownProtocol(text.to_owned())),
        }
    }
}

/// A port of the host that leads to a port of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedPort {
    pub container_port: u16,
    pub protocol: Protocol,
    /// `0.0.0.0` is every address of the host.
    pub host_ip: IpAddr,
    pub host_port: u16,
}
