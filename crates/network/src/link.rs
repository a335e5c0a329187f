//! Links over rtnetlink: the bridge, and veth pairs with one end born inside a sandbox.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use barge_sys::netlink::{Error, flags};
use netlink_packet_core::NlasIterator;
use netlink_packet_route::link::{
    InfoBridgePort, InfoData, InfoKind, InfoPortData, InfoPortKind, InfoVeth, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage,
};

use crate::address::MacAddr;
use crate::route::{RouteSocket, message};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_GETLINK: u16 = 18;

const NO_DEVICE: i32 = rustix::io::Errno::NODEV.raw_os_error();

/// What is of interest about a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    /// `bridge`, `veth`…; empty for hardware.
    pub(crate) kind: String,
    /// Index of the bridge this is a port of.
    pub(crate) controller: Option<u32>,
    pub(crate) mtu: u32,
    pub(crate) up: bool,
}

/// A veth pair to be made.
pub(crate) struct Veth<'a> {
    pub(crate) host_name: &'a str,
    pub(crate) bridge_index: u32,
    pub(crate) netns: BorrowedFd<'a>,
    pub(crate) inner_name: &'a str,
    pub(crate) inner_mac: MacAddr,
    /// 0 is the kernel's default.
    pub(crate) mtu: u32,
}

impl RouteSocket {
    /// Looks a link up by name.
    pub(crate) fn find_link(&mut self, name: &str) -> Result<Option<Link>, Error> {
        let mut question = LinkMessage::default();
        question.attributes.push(LinkAttribute::IfName(name.to_owned()));
        match self.query(&message(RTM_GETLINK, 0, &question)) {
            Ok((_, body)) => decode(&body).map(Some).ok_or(Error::Malformed),
            Err(error) if error.errno() == Some(NO_DEVICE) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every link of the namespace.
    pub(crate) fn links(&mut self) -> Result<Vec<Link>, Error> {
        self.list(&message(RTM_GETLINK, 0, &LinkMessage::default()), decode)
    }

    /// Creates a bridge that is up. It gets a fixed address: one that the kernel picks is the
    /// lowest of its ports' and changes with every container, under the neighbours' feet.
    pub(crate) fn create_bridge(&mut self, name: &str, gateway: Ipv4Addr, mtu: u32) -> Result<(), Error> {
        let mut link = up(LinkMessage::default());
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        link.attributes.push(LinkAttribute::Address(MacAddr::from_ip(gateway).0.to_vec()));
        link.attributes.extend(mtu_attribute(mtu));
        link.attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Bridge)]));
        self.request(&[message(RTM_NEWLINK, flags::CREATE | flags::EXCL, &link)])
    }

    /// Brings a link up and sets its MTU unless that is 0.
    pub(crate) fn bring_up(&mut self, index: u32, mtu: u32) -> Result<(), Error> {
        let mut link = up(LinkMessage::default());
        link.header.index = index;
        link.attributes.extend(mtu_attribute(mtu));
        self.request(&[message(RTM_NEWLINK, 0, &link)])
    }

    /// Brings `lo` (always the first link) up.
    pub(crate) fn loopback_up(&mut self) -> Result<(), Error> {
        self.bring_up(1, 0)
    }

    /// Makes the pair in one request: the host end is a port of the bridge and up, the inner
    /// end is born in the sandbox under its final name and address. It can't be born up, for
    /// the kernel opens it before the pair is tied.
    pub(crate) fn create_veth(&mut self, veth: &Veth<'_>) -> Result<(), Error> {
        let mut inner = LinkMessage::default();
        inner.attributes.push(LinkAttribute::IfName(veth.inner_name.to_owned()));
        inner.attributes.push(LinkAttribute::Address(veth.inner_mac.0.to_vec()));
        inner.attributes.extend(mtu_attribute(veth.mtu));
        inner.attributes.push(LinkAttribute::NetNsFd(veth.netns.as_raw_fd()));
        let mut host = up(LinkMessage::default());
        host.attributes.push(LinkAttribute::IfName(veth.host_name.to_owned()));
        host.attributes.push(LinkAttribute::Controller(veth.bridge_index));
        host.attributes.extend(mtu_attribute(veth.mtu));
        host.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::Kind(InfoKind::Veth),
            LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(inner))),
        ]));
        self.request(&[message(RTM_NEWLINK, flags::CREATE | flags::EXCL, &host)])
    }

    /// Makes a link a port of a bridge.
    pub(crate) fn attach(&mut self, index: u32, bridge_index: u32) -> Result<(), Error> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes.push(LinkAttribute::Controller(bridge_index));
        self.request(&[message(RTM_NEWLINK, 0, &link)])
    }

    /// Sets how the bridge treats one of its ports.
    pub(crate) fn set_port(&mut self, index: u32, behaviour: InfoBridgePort) -> Result<(), Error> {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes.push(LinkAttribute::LinkInfo(vec![
            LinkInfo::PortKind(InfoPortKind::Bridge),
            LinkInfo::PortData(InfoPortData::BridgePort(vec![behaviour])),
        ]));
        self.request(&[message(RTM_NEWLINK, 0, &link)])
    }

    /// Removes a link. The kernel waits for readers (RCU): milliseconds, under its global lock.
    /// Returns whether it was there.
    pub(crate) fn delete_link(&mut self, name: &str) -> Result<bool, Error> {
        let mut link = LinkMessage::default();
        link.attributes.push(LinkAttribute::IfName(name.to_owned()));
        match self.request(&[message(RTM_DELLINK, 0, &link)]) {
            Ok(()) => Ok(true),
            Err(error) if error.errno() == Some(NO_DEVICE) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

fn up(mut link: LinkMessage) -> LinkMessage {
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link
}

fn mtu_attribute(mtu: u32) -> Option<LinkAttribute> {
    (mtu != 0).then_some(LinkAttribute::Mtu(mtu))
}

/// Reads only what is of interest, so that an attribute of a newer kernel, which the packet
/// crate does not know or takes for malformed, does no harm.
fn decode(body: &[u8]) -> Option<Link> {
    const HEADER: usize = 16;
    let number = |at: usize| Some(u32::from_ne_bytes(body.get(at..at + 4)?.try_into().ok()?));
    let mut link = Link { index: number(4)?, up: number(8)? & 1 != 0, ..Link::default() };
    for attribute in NlasIterator::new(body.get(HEADER..)?) {
        let attribute = attribute.ok()?;
        let value = attribute.value();
        let value_number = || Some(u32::from_ne_bytes(value.try_into().ok()?));
        match attribute.kind() {
            attribute_number::IFNAME => link.name = text(value),
            attribute_number::MTU => link.mtu = value_number()?,
            attribute_number::MASTER => link.controller = Some(value_number()?),
            attribute_number::LINKINFO => {
                let kind = NlasIterator::new(value)
                    .flatten()
                    .find(|info| info.kind() == attribute_number::INFO_KIND);
                link.kind = kind.map(|info| text(info.value())).unwrap_or_default();
            }
            _ => {}
        }
    }
    Some(link)
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned()
}

/// Attribute numbers of linux/if_link.h.
mod attribute_number {
    pub(super) const IFNAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const MASTER: u16 = 10;
    pub(super) const LINKINFO: u16 = 18;
    pub(super) const INFO_KIND: u16 = 1;
}
