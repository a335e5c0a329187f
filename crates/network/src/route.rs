//! Addresses and routes over rtnetlink, and the socket that this crate's requests go through.

use std::net::Ipv4Addr;
use std::ops::{Deref, DerefMut};
use std::os::fd::BorrowedFd;

use barge_sys::netlink::{Error, Family, Message, Socket, flags};
use ipnet::Ipv4Net;
use netlink_packet_core::{Emitable, NlasIterator};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

const RTM_NEWLINK: u16 = 16;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWROUTE: u16 = 24;
const RTM_GETROUTE: u16 = 26;

/// A netlink socket for links, addresses and routes of one network namespace.
pub(crate) struct RouteSocket(Socket);

impl Deref for RouteSocket {
    type Target = Socket;

    fn deref(&self) -> &Socket {
        &self.0
    }
}

impl DerefMut for RouteSocket {
    fn deref_mut(&mut self) -> &mut Socket {
        &mut self.0
    }
}

/// A request with its body in the kernel's form.
pub(crate) fn message(kind: u16, flags: u16, packet: &impl Emitable) -> Message {
    let mut body = vec![0; packet.buffer_len()];
    packet.emit(&mut body);
    Message { kind, flags, body }
}

/// How an interface inside a sandbox is set up.
pub(crate) struct Setup {
    pub(crate) index: u32,
    pub(crate) address: Ipv4Net,
    pub(crate) gateway: Option<Ipv4Addr>,
}

impl RouteSocket {
    /// Opens a socket in the calling thread's network namespace.
    pub(crate) fn open() -> Result<Self, Error> {
        Socket::open(Family::Route).map(Self)
    }

    /// Opens a socket in another network namespace.
    pub(crate) fn open_in(netns: BorrowedFd<'_>) -> Result<Self, Error> {
        Socket::open_in(Family::Route, netns).map(Self)
    }

    /// Gives a link an address; one that it has already is no error.
    pub(crate) fn add_address(&mut self, index: u32, address: Ipv4Net) -> Result<(), Error> {
        self.request(&[address_message(index, address)])
    }

    /// A link's IPv4 addresses with the prefix lengths of their subnets.
    pub(crate) fn addresses(&mut self, index: u32) -> Result<Vec<Ipv4Net>, Error> {
        let mut question = AddressMessage::default();
        question.header.family = AddressFamily::Inet;
        self.list(&message(RTM_GETADDR, 0, &question), |body| {
            local_address(body).filter(|found| found.0 == index).map(|found| found.1)
        })
    }

    /// Takes an address from a link.
    pub(crate) fn remove_address(&mut self, index: u32, address: Ipv4Net) -> Result<(), Error> {
        let message = Message { kind: RTM_DELADDR, flags: 0, ..address_message(index, address) };
        self.request(&[message])
    }

    /// Brings an interface up with its address and default route, in one datagram.
    pub(crate) fn set_up(&mut self, setup: &Setup) -> Result<(), Error> {
        let mut link = LinkMessage::default();
        link.header.index = setup.index;
        link.header.flags = LinkFlags::Up;
        link.header.change_mask = LinkFlags::Up;
        let mut messages = vec![message(RTM_NEWLINK, 0, &link), address_message(setup.index, setup.address)];
        messages.extend(setup.gateway.map(|gateway| default_route(setup.index, gateway)));
        self.request(&messages)
    }

    /// Destinations of all IPv4 routes but the default ones: what a new subnet must not cover.
    pub(crate) fn routes(&mut self) -> Result<Vec<Ipv4Net>, Error> {
        let mut question = RouteMessage::default();
        question.header.address_family = AddressFamily::Inet;
        self.list(&message(RTM_GETROUTE, 0, &question), destination)
    }

    /// Lists what `decode` makes of each answer. The kernel says when something changed under a
    /// listing; it is asked again then. On a host where something always changes the last
    /// listing is taken as it is: what changed is another's, for ours change by our hand only.
    pub(crate) fn list<T>(
        &mut self,
        question: &Message,
        decode: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        const ATTEMPTS: u32 = 10;
        let mut attempt = 1;
        loop {
            let mut found = Vec::new();
            match self.dump(question, |_, body| found.extend(decode(body))) {
                Err(Error::Interrupted) if attempt < ATTEMPTS => attempt += 1,
                Ok(()) | Err(Error::Interrupted) => return Ok(found),
                Err(error) => return Err(error),
            }
        }
    }
}

fn address_message(index: u32, address: Ipv4Net) -> Message {
    let mut packet = AddressMessage::default();
    packet.header.family = AddressFamily::Inet;
    packet.header.prefix_len = address.prefix_len();
    packet.header.scope = AddressScope::Universe;
    packet.header.index = index;
    packet.attributes = vec![
        AddressAttribute::Local(address.addr().into()),
        AddressAttribute::Address(address.addr().into()),
        AddressAttribute::Broadcast(address.broadcast()),
    ];
    message(RTM_NEWADDR, flags::CREATE | flags::REPLACE, &packet)
}

fn default_route(index: u32, gateway: Ipv4Addr) -> Message {
    let mut packet = RouteMessage::default();
    packet.header.address_family = AddressFamily::Inet;
    packet.header.table = RouteHeader::RT_TABLE_MAIN;
    packet.header.protocol = RouteProtocol::Boot;
    packet.header.scope = RouteScope::Universe;
    packet.header.kind = RouteType::Unicast;
    packet.attributes =
        vec![RouteAttribute::Gateway(RouteAddress::Inet(gateway)), RouteAttribute::Oif(index)];
    message(RTM_NEWROUTE, flags::CREATE | flags::EXCL, &packet)
}

/// Index of the link and the address that it has.
fn local_address(body: &[u8]) -> Option<(u32, Ipv4Net)> {
    const HEADER: usize = 8;
    const IFA_LOCAL: u16 = 2;
    let index = u32::from_ne_bytes(body.get(4..HEADER)?.try_into().ok()?);
    Some((index, Ipv4Net::new(ipv4(body.get(HEADER..)?, IFA_LOCAL)?, *body.get(1)?).ok()?))
}

/// The destination of a route; `None` for a default route, or loopback's and multicast's own.
fn destination(body: &[u8]) -> Option<Ipv4Net> {
    const HEADER: usize = 12;
    const RTA_DST: u16 = 1;
    let prefix = *body.get(1)?;
    let address = ipv4(body.get(HEADER..)?, RTA_DST)?;
    if address.is_loopback() || address.is_multicast() || prefix == 0 {
        return None;
    }
    Ipv4Net::new(address, prefix).ok()
}

/// The IPv4 address in the attribute of that number.
fn ipv4(attributes: &[u8], kind: u16) -> Option<Ipv4Addr> {
    let attribute = NlasIterator::new(attributes).flatten().find(|attribute| attribute.kind() == kind)?;
    let octets: [u8; 4] = attribute.value().try_into().ok()?;
    Some(octets.into())
}
