//! The elements that come and go: networks in the sets, published ports in the maps. Pure.

use std::net::{IpAddr, Ipv4Addr};

use netlink_packet_netfilter::nftables::{
    DataAttribute, ListAttribute, SetElementAttribute, SetElementFlags, SetElementList, SetElementMessage,
};

use super::ruleset::set;
use crate::network::{EndpointSpec, Network, PublishedPort};

/// One element and the set it belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    set: &'static str,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    ends_interval: bool,
}

/// Where an element stands, whatever its value: its set and its key.
pub(super) type Place = (&'static str, Vec<u8>);

impl Element {
    pub(super) fn place(&self) -> Place {
        (self.set, self.key.clone())
    }
}

/// Elements that stand for a network.
pub(super) fn of_network(network: &Network) -> Vec<Element> {
    let name = interface(&network.bridge);
    let plain = |set, key: &[u8]| Element { set, key: key.to_vec(), value: None, ends_interval: false };
    let mut elements = vec![plain(set::BRIDGES, &name)];
    if network.internal {
        elements.push(plain(set::INTERNAL, &name));
    }
    if network.icc {
        elements.push(plain(set::TALKING, &[name, name].concat()));
    }
    let mut subnets = vec![set::SUBNETS];
    if network.masquerade && !network.internal {
        subnets.push(set::MASQUERADED);
    }
    for set in subnets {
        elements.push(plain(set, &network.subnet.network().octets()));
        // The first address behind; a subnet that ends the address space has none.
        if let Some(end) = u32::from(network.subnet.broadcast()).checked_add(1) {
            let end = plain(set, &end.to_be_bytes());
            elements.push(Element { ends_interval: true, ..end });
        }
    }
    elements
}

/// Elements that lead to an endpoint. An internal network has no way in.
pub(super) fn of_endpoint(network: &Network, endpoint: &EndpointSpec) -> Vec<Element> {
    let ports = if network.internal { &[] } else { endpoint.ports.as_slice() };
    ports.iter().filter_map(|port| of_port(port, endpoint.address)).collect()
}

fn of_port(port: &PublishedPort, target: Ipv4Addr) -> Option<Element> {
    let IpAddr::V4(host) = port.host_ip else { return None };
    let mut key = Vec::with_capacity(12);
    let set = if host.is_unspecified() {
        set::PUBLISHED
    } else {
        key.extend(host.octets());
        set::PUBLISHED_AT
    };
    key.extend([port.protocol.number(), 0, 0, 0]);
    key.extend(padded(port.host_port));
    let mut value = target.octets().to_vec();
    value.extend(padded(port.container_port));
    Some(Element { set, key, value: Some(value), ends_interval: false })
}

/// Messages that add or delete the elements, grouped by set and small enough for a netlink
/// attribute, whose length has 16 bits.
pub(super) fn messages<'a>(
    table: &'a str,
    elements: &'a [Element],
) -> impl Iterator<Item = SetElementMessage> + 'a {
    const AT_MOST: usize = 500;
    let sets = [
        set::BRIDGES,
        set::INTERNAL,
        set::TALKING,
        set::SUBNETS,
        set::MASQUERADED,
        set::PUBLISHED_AT,
        set::PUBLISHED,
    ];
    sets.into_iter().flat_map(move |set| {
        let chosen: Vec<&Element> = elements.iter().filter(|element| element.set == set).collect();
        let lists: Vec<_> = chosen.chunks(AT_MOST).map(|chunk| list(table, set, chunk)).collect();
        lists
    })
}

fn list(table: &str, set: &str, elements: &[&Element]) -> SetElementMessage {
    let element = |element: &&Element| {
        let mut attributes = vec![SetElementAttribute::Key(DataAttribute::Value(element.key.clone()))];
        if element.ends_interval {
            attributes.push(SetElementAttribute::Flags(SetElementFlags::IntervalEnd));
        }
        if let Some(value) = &element.value {
            attributes.push(SetElementAttribute::Data(DataAttribute::Value(value.clone())));
        }
        ListAttribute::Element(attributes)
    };
    SetElementMessage {
        attributes: vec![
            SetElementList::Table(table.to_owned()),
            SetElementList::Set(set.to_owned()),
            SetElementList::Elements(elements.iter().map(element).collect()),
        ],
    }
}

/// A 16-bit number in network order, padded to a register.
fn padded(port: u16) -> [u8; 4] {
    let [high, low] = port.to_be_bytes();
    [high, low, 0, 0]
}

/// An interface name as the kernel compares it: 16 bytes, zero padded.
fn interface(name: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(name.bytes().take(15)) {
        *byte = from;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::MacAddr;
    use crate::network::Protocol;

    fn network(change: impl FnOnce(&mut Network)) -> Network {
        let mut network = Network {
            id: "n".to_owned(),
            name: "net".to_owned(),
            bridge: "barge0".to_owned(),
            subnet: "10.77.0.0/24".parse().expect("a subnet"),
            gateway: Ipv4Addr::new(10, 77, 0, 1),
            mtu: 1500,
            masquerade: true,
            icc: true,
            internal: false,
            default_binding: Ipv4Addr::UNSPECIFIED.into(),
        };
        change(&mut network);
        network
    }

    fn places(elements: &[Element]) -> Vec<(&'static str, Vec<u8>, bool)> {
        elements.iter().map(|one| (one.set, one.key.clone(), one.ends_interval)).collect()
    }

    #[test]
    fn a_network_is_a_bridge_name_and_a_half_open_interval() {
        let name = b"barge0\0\0\0\0\0\0\0\0\0\0".to_vec();
        let interval = |set| [(set, vec![10, 77, 0, 0], false), (set, vec![10, 77, 1, 0], true)];
        let mut expected = vec![
            (set::BRIDGES, name.clone(), false),
            (set::TALKING, [name.clone(), name.clone()].concat(), false),
        ];
        expected.extend(interval(set::SUBNETS));
        expected.extend(interval(set::MASQUERADED));
        assert_eq!(places(&of_network(&network(|_| {}))), expected);
        let closed = network(|network| {
            network.icc = false;
            network.internal = true;
        });
        let mut expected = vec![(set::BRIDGES, name.clone(), false), (set::INTERNAL, name, false)];
        expected.extend(interval(set::SUBNETS));
        assert_eq!(places(&of_network(&closed)), expected);
    }

    #[test]
    fn a_subnet_at_the_end_of_the_address_space_has_no_end() {
        let last = network(|network| network.subnet = "255.255.255.0/24".parse().expect("a subnet"));
        assert!(of_network(&last).iter().all(|element| !element.ends_interval));
    }

    #[test]
    fn a_port_is_a_key_of_padded_fields() {
        let port = |host_ip: &str, protocol| PublishedPort {
            container_port: 80,
            protocol,
            host_ip: host_ip.parse().expect("an address"),
            host_port: 8080,
        };
        let spec = EndpointSpec {
            id: "c".to_owned(),
            interface: "eth0".to_owned(),
            address: Ipv4Addr::new(10, 77, 0, 2),
            mac: MacAddr([2; 6]),
            default_route: true,
            ports: vec![
                port("0.0.0.0", Protocol::Tcp),
                port("192.0.2.1", Protocol::Udp),
                port("::", Protocol::Tcp),
            ],
        };
        let value = Some(vec![10, 77, 0, 2, 0, 80, 0, 0]);
        let element =
            |set, key: &[u8]| Element { set, key: key.to_vec(), value: value.clone(), ends_interval: false };
        let expected = [
            element(set::PUBLISHED, &[6, 0, 0, 0, 0x1f, 0x90, 0, 0]),
            element(set::PUBLISHED_AT, &[192, 0, 2, 1, 17, 0, 0, 0, 0x1f, 0x90, 0, 0]),
        ];
        assert_eq!(of_endpoint(&network(|_| {}), &spec), expected);
        assert_eq!(of_endpoint(&network(|network| network.internal = true), &spec), []);
    }

    #[test]
    fn a_thousand_elements_are_cut_to_what_an_attribute_holds() {
        let one = |number: u16| Element {
            set: set::PUBLISHED,
            key: padded(number).to_vec(),
            value: None,
            ends_interval: false,
        };
        let elements: Vec<_> = (0..1200).map(one).collect();
        assert_eq!(messages("barge", &elements).count(), 3);
    }
}
