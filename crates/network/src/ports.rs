//! Host ports: claimed by a socket that is bound to them, so that no other program of the
//! host, and no other container, can have them too.
//!
//! The socket is never listened on: packets are diverted by the firewall before they would
//! reach it. Whoever holds it (the shim) holds the port, also while no daemon runs.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV4};
use std::ops::RangeInclusive;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use crate::error::{Error, Result};
use crate::network::{Protocol, PublishedPort};

/// The kernel's range for ports that nobody names (net.ipv4.ip_local_port_range's default).
const EPHEMERAL: RangeInclusive<u16> = 32768..=60999;

/// A port of a container to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRequest {
    pub container_port: u16,
    pub protocol: Protocol,
    /// `0.0.0.0` is every address of the host.
    pub host_ip: IpAddr,
    /// Where to look for a free one; `None` is anywhere.
    pub host_ports: Option<RangeInclusive<u16>>,
}

/// A port that is ours as long as the socket is open.
#[derive(Debug)]
pub struct Reserved {
    pub published: PublishedPort,
    /// None for a protocol for which this host has no sockets (sctp, often).
    pub socket: Option<OwnedFd>,
}

/// Reserves all ports or none.
pub fn reserve(requests: &[PortRequest]) -> Result<Vec<Reserved>> {
    requests.iter().map(reserve_one).collect()
}

fn reserve_one(request: &PortRequest) -> Result<Reserved> {
    let host_ip = match request.host_ip {
        IpAddr::V4(ip) => ip,
        host @ IpAddr::V6(_) => return Err(Error::PortAddress { host }),
    };
    let reserved = |host_port, socket| Reserved {
        published: PublishedPort {
            container_port: request.container_port,
            protocol: request.protocol,
            host_ip: request.host_ip,
            host_port,
        },
        socket,
    };
    let range = request.host_ports.clone().unwrap_or(EPHEMERAL);
    let (first, last) = (*range.start(), *range.end());
    for port in candidates(request.host_ports.clone()) {
        let host = SocketAddrV4::new(host_ip, port);
        match hold(host, request.protocol) {
            Ok(socket) => return Ok(reserved(port, socket)),
            Err(Errno::ADDRINUSE) if first != last => {}
            Err(errno) => {
                let (host, protocol) = (SocketAddr::V4(host), request.protocol);
                return Err(Error::PortBind { host, protocol, source: errno.into() });
            }
        }
    }
    Err(Error::PortRangeTaken { first, last, protocol: request.protocol })
}

/// The ports to try, in order. Where the caller does not care, each search begins behind the
/// last one's, so that a port just given back is not used again at once.
fn candidates(wanted: Option<RangeInclusive<u16>>) -> Box<dyn Iterator<Item = u16>> {
    static TURN: AtomicU16 = AtomicU16::new(0);
    if let Some(range) = wanted {
        return Box::new(range);
    }
    let count = EPHEMERAL.end() - EPHEMERAL.start() + 1;
    let turn = TURN.fetch_add(1, Ordering::Relaxed) % count;
    let (low, high) =
        (EPHEMERAL.start() + turn..=*EPHEMERAL.end(), *EPHEMERAL.start()..EPHEMERAL.start() + turn);
    Box::new(low.chain(high))
}

/// Binds a socket to the address. `None` if this kernel has no sockets of that protocol.
fn hold(host: SocketAddrV4, protocol: Protocol) -> rustix::io::Result<Option<OwnedFd>> {
    let socket = match open(protocol) {
        Err(Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT) if protocol == Protocol::Sctp => return Ok(None),
        other => other?,
    };
    match rustix::net::bind(&socket, &host) {
        Ok(()) => Ok(Some(socket)),
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp => hold_beside_closed(host).map(Some),
        Err(errno) => Err(errno),
    }
}

/// Takes a port on which only connections of an ended server linger (TIME_WAIT). That they
/// are all there is shows in that one can listen there; two sockets that allow address reuse
/// may be bound side by side, but not when one of them listens.
fn hold_beside_closed(host: SocketAddrV4) -> rustix::io::Result<OwnedFd> {
    let reusing = || {
        let socket = open(Protocol::Tcp)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &host)?;
        Ok(socket)
    };
    let probe = reusing()?;
    rustix::net::listen(&probe, 1)?;
    drop(probe);
    reusing()
}

fn open(protocol: Protocol) -> rustix::io::Result<OwnedFd> {
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    rustix::net::socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, Some(number))
}

impl Error {
    /// Whether the cause is that somebody else has the port.
    #[must_use]
    pub fn is_port_taken(&self) -> bool {
        match self {
            Self::PortBind { source, .. } => source.kind() == io::ErrorKind::AddrInUse,
            Self::PortRangeTaken { .. } => true,
            _ => false,
        }
    }
}
