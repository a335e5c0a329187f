//! Links of the host that move into a container (`linux.netDevices`), with their lasting addresses.
//!
//! ```text
//! host: addresses of the link ──> RTM_SETLINK: other namespace, other name ──> container: addresses again, up
//! ```
//!
//! They stay the network namespace's: nobody brings them back (config-linux.md, Network Devices).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use barge_oci::runtime_spec::Linux;
use barge_sys::netlink::{self, Family, Message, Socket, flags};

use crate::error::{Error, Result};
use crate::plan::invalid;

const FIELD: &str = "linux.netDevices";
const NEWLINK: u16 = 16;
const GETLINK: u16 = 18;
const SETLINK: u16 = 19;
const NEWADDR: u16 = 20;
const GETADDR: u16 = 22;
const LINK_NAME: u16 = 3;
const LINK_NAMESPACE: u16 = 28;
const ADDRESS_CACHE_INFO: u16 = 6;
const PERMANENT: u8 = 0x80;
const UP: u32 = 1;
/// `IFNAMSIZ`, the zero at the end included.
const LONGEST_NAME: usize = 16;

/// The links to move: the host's name and the container's. Pure.
pub(crate) fn of(linux: &Linux) -> Result<BTreeMap<String, String>> {
    let devices = linux.net_devices().iter().flatten();
    devices
        .map(|(host, device)| {
            let name = device.name().clone().filter(|name| !name.is_empty()).unwrap_or_else(|| host.clone());
            for name in [host, &name] {
                let plain = !name.chars().any(|c| c == '/' || c == ':' || c.is_whitespace());
                if !plain || name.is_empty() || name.len() >= LONGEST_NAME || name == "." || name == ".." {
                    return Err(invalid(FIELD, format!("{name:?} is no name of a network device")));
                }
            }
            Ok((host.clone(), name))
        })
        .collect()
}

/// Moves all links of `devices` into a network namespace.
pub(crate) fn move_all(devices: &BTreeMap<String, String>, netns: BorrowedFd<'_>) -> Result<()> {
    for (host, name) in devices {
        move_one(host, name, netns).map_err(|error| Error::NetworkDevice {
            name: host.clone(),
            inside: name.clone(),
            reason: error.to_string(),
        })?;
    }
    Ok(())
}

/// Takes up the loopback device of a new network namespace, which is its first link: every program counts on it.
pub(crate) fn take_up_loopback() -> Result<()> {
    take_up_first(Socket::open(Family::Route))
}

/// The same for a network namespace that this process is not in.
pub(crate) fn take_up_loopback_in(netns: BorrowedFd<'_>) -> Result<()> {
    take_up_first(Socket::open_in(Family::Route, netns))
}

fn take_up_first(socket: Result<Socket, netlink::Error>) -> Result<()> {
    const FIRST: u32 = 1;
    socket
        .and_then(|mut socket| socket.request(&[message(NEWLINK, 0, link(FIRST, UP, &[]))]))
        .map_err(|error| Error::Loopback { reason: error.to_string() })
}

fn move_one(host: &str, name: &str, netns: BorrowedFd<'_>) -> Result<(), netlink::Error> {
    let mut outside = Socket::open(Family::Route)?;
    let mut inside = Socket::open_in(Family::Route, netns)?;
    let question = message(GETLINK, 0, link(0, 0, &[(LINK_NAME, &terminated(host))]));
    let (_, body) = outside.query(&question)?;
    let index = number(&body, 4).ok_or(netlink::Error::Malformed)?;
    let addresses = lasting_addresses(&mut outside, index)?;
    let before = indexes(&mut inside)?;
    let namespace = netns.as_fd().as_raw_fd().to_ne_bytes();
    let attributes: [(u16, &[u8]); 2] = [(LINK_NAMESPACE, &namespace), (LINK_NAME, &terminated(name))];
    outside.request(&[message(SETLINK, 0, link(index, 0, &attributes))])?;
    // Neither its index nor, with a template, its name need be what they were.
    let after = indexes(&mut inside)?;
    let index = after.into_iter().find(|index| !before.contains(index)).ok_or(netlink::Error::Malformed)?;
    let mut messages: Vec<Message> = addresses
        .into_iter()
        .map(|mut body| {
            body[4..8].copy_from_slice(&index.to_ne_bytes());
            message(NEWADDR, flags::CREATE | flags::EXCL, body)
        })
        .collect();
    messages.push(message(NEWLINK, 0, link(index, UP, &[])));
    inside.request(&messages)
}

fn message(kind: u16, flags: u16, body: Vec<u8>) -> Message {
    Message { kind, flags, body }
}

fn terminated(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// `struct ifinfomsg` with attributes; `up` is set and nothing else changed.
fn link(index: u32, up: u32, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = vec![0; 4];
    for field in [index, up, up] {
        body.extend_from_slice(&field.to_ne_bytes());
    }
    for (kind, value) in attributes {
        attribute(&mut body, *kind, value);
    }
    body
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend_from_slice(&((4 + value.len()) as u16).to_ne_bytes());
    body.extend_from_slice(&kind.to_ne_bytes());
    body.extend_from_slice(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn number(body: &[u8], at: usize) -> Option<u32> {
    body.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn indexes(socket: &mut Socket) -> Result<Vec<u32>, netlink::Error> {
    let mut out = Vec::new();
    socket.dump(&message(GETLINK, 0, link(0, 0, &[])), |_, body| out.extend(number(body, 4)))?;
    Ok(out)
}

/// The bodies with which a link's permanent addresses of global scope can be made again.
fn lasting_addresses(socket: &mut Socket, index: u32) -> Result<Vec<Vec<u8>>, netlink::Error> {
    let mut out = Vec::new();
    socket.dump(&message(GETADDR, 0, vec![0; 8]), |_, body| {
        out.extend(lasting_address(body, index));
    })?;
    Ok(out)
}

/// `struct ifaddrmsg`: family, prefix length, flags, scope, index; then attributes.
fn lasting_address(body: &[u8], index: u32) -> Option<Vec<u8>> {
    let (head, mut rest) = body.split_at_checked(8)?;
    if number(head, 4)? != index || head[2] & PERMANENT == 0 || head[3] != 0 {
        return None;
    }
    let mut out = head.to_vec();
    while let Some((lengths, _)) = rest.split_at_checked(4) {
        let length = usize::from(u16::from_ne_bytes([lengths[0], lengths[1]]));
        let kind = u16::from_ne_bytes([lengths[2], lengths[3]]);
        let value = rest.get(4..length)?;
        // Life times, which the kernel gives anew. A label is the old name's.
        if !matches!(kind, ADDRESS_CACHE_INFO | ADDRESS_LABEL) {
            attribute(&mut out, kind, value);
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(out)
}

const ADDRESS_LABEL: u16 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_hosts_unless_others_are_given() {
        let of = |json: &str| of(&serde_json::from_str(json).unwrap());
        let devices = of(r#"{"netDevices":{"eth0":{},"eth1":{"name":"in%d"}}}"#).unwrap();
        let pairs: Vec<(&str, &str)> = devices.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("eth0", "eth0"), ("eth1", "in%d")]);
        for json in [r#"{"netDevices":{"a/b":{}}}"#, r#"{"netDevices":{"a":{"name":"sixteen-letters-"}}}"#] {
            assert!(of(json).is_err(), "{json}");
        }
    }

    #[test]
    fn only_lasting_addresses_are_taken_along() {
        let address = |flags: u8, scope: u8| {
            let mut body = vec![2, 24, flags, scope, 7, 0, 0, 0];
            attribute(&mut body, 2, &[10, 0, 0, 1]);
            attribute(&mut body, ADDRESS_LABEL, b"eth0\0");
            attribute(&mut body, ADDRESS_CACHE_INFO, &[0; 16]);
            body
        };
        let kept = lasting_address(&address(PERMANENT, 0), 7).unwrap();
        assert_eq!(kept[8..], [8, 0, 2, 0, 10, 0, 0, 1]);
        assert_eq!(lasting_address(&address(PERMANENT, 0), 8), None);
        assert_eq!(lasting_address(&address(0, 0), 7), None);
        assert_eq!(lasting_address(&address(PERMANENT, 253), 7), None);
    }
}
