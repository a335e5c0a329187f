//! Forgetting connections that were tracked before a port was published.
//!
//! Translation is decided by a connection's first packet. A UDP client that never stops sending
//! keeps its "connection" alive for ever: to the closed port, if it began too early, or to the
//! container that had the port before. TCP needs no help; its connections end.

use std::net::{IpAddr, Ipv4Addr};

use barge_sys::netlink::{Error, Family, Message, Socket};
use netlink_packet_core::NlasIterator;

use crate::network::{Protocol, PublishedPort};

/// Message types of linux/netfilter/nfnetlink_conntrack.h, behind the subsystem's number.
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;

/// Attribute numbers of the same file.
mod attribute {
    pub(super) const TUPLE_ORIG: u16 = 1;
    pub(super) const FILTER: u16 = 25;
    pub(super) const FILTER_ORIG_FLAGS: u16 = 1;
    pub(super) const TUPLE_IP: u16 = 1;
    pub(super) const TUPLE_PROTO: u16 = 2;
    pub(super) const IP_V4_DST: u16 = 2;
    pub(super) const PROTO_NUM: u16 = 1;
    pub(super) const PROTO_DST_PORT: u16 = 3;
    pub(super) const NESTED: u16 = 1 << 15;
}

/// `struct nfgenmsg`: family `AF_INET`, version 0, no resource.
const IPV4: [u8; 4] = [2, 0, 0, 0];

/// Forgets every UDP connection to one of the ports. Costs a listing, which the kernel filters
/// by port (since 5.8; before that all connections are listed and filtered here).
pub(crate) fn forget_udp(ports: &[PublishedPort]) -> Result<(), Error> {
    let mut udp = ports.iter().filter(|port| port.protocol == Protocol::Udp).peekable();
    if udp.peek().is_none() {
        return Ok(());
    }
    let mut socket = Socket::open(Family::Netfilter)?;
    for port in udp {
        let mut found = Vec::new();
        let question = Message { kind: GET, flags: 0, body: question(port.host_port) };
        socket.dump(&question, |_, body| found.extend(tuple_to(body, port)))?;
        for tuple in found {
            let body =
                [IPV4.as_slice(), &attribute(attribute::TUPLE_ORIG | attribute::NESTED, tuple)].concat();
            match socket.request(&[Message { kind: DELETE, flags: 0, body }]) {
                Err(error) if error.errno() != Some(rustix::io::Errno::NOENT.raw_os_error()) => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Asks for UDP connections to a port.
fn question(port: u16) -> Vec<u8> {
    // net/netfilter/nf_internals.h: which parts of the tuple are compared.
    const PROTO_NUM: u32 = 1 << 3;
    const PROTO_DST_PORT: u32 = 1 << 5;
    let protocol = [
        attribute(attribute::PROTO_NUM, [Protocol::Udp.number()]),
        attribute(attribute::PROTO_DST_PORT, port.to_be_bytes()),
    ]
    .concat();
    let tuple = attribute(attribute::TUPLE_PROTO | attribute::NESTED, protocol);
    let compared = (PROTO_NUM | PROTO_DST_PORT).to_ne_bytes();
    let filter = attribute(attribute::FILTER_ORIG_FLAGS, compared);
    [
        IPV4.to_vec(),
        attribute(attribute::TUPLE_ORIG | attribute::NESTED, tuple),
        attribute(attribute::FILTER | attribute::NESTED, filter),
    ]
    .concat()
}

/// The connection's tuple as the kernel wrote it, if it leads to the port.
fn tuple_to(body: &[u8], port: &PublishedPort) -> Option<Vec<u8>> {
    let tuple = find(body.get(IPV4.len()..)?, attribute::TUPLE_ORIG)?;
    let protocol = find(tuple, attribute::TUPLE_PROTO)?;
    let address: [u8; 4] = find(find(tuple, attribute::TUPLE_IP)?, attribute::IP_V4_DST)?.try_into().ok()?;
    let to_host = port.host_ip.is_unspecified() || port.host_ip == IpAddr::V4(Ipv4Addr::from(address));
    let leads_there = find(protocol, attribute::PROTO_NUM)? == [Protocol::Udp.number()]
        && find(protocol, attribute::PROTO_DST_PORT)? == port.host_port.to_be_bytes()
        && to_host;
    leads_there.then(|| tuple.to_vec())
}

fn find(attributes: &[u8], kind: u16) -> Option<&[u8]> {
    let mut found = NlasIterator::new(attributes).flatten();
    found.find(|attribute| attribute.kind() == kind).map(|attribute| attribute.into_inner()).and_then(value)
}

/// An attribute's bytes without its header and padding.
fn value(attribute: &[u8]) -> Option<&[u8]> {
    let length = u16::from_ne_bytes(attribute.get(..2)?.try_into().ok()?);
    attribute.get(4..usize::from(length))
}

fn attribute(kind: u16, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    let mut bytes = Vec::with_capacity(4 + value.len());
    bytes.extend_from_slice(&((4 + value.len()) as u16).to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
