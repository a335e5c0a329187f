//! Published ports, from every side.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use barge_network::{Driver, Network};
use barge_sys::netns;

use crate::lab::{
    self, HOST, LOOPBACK, OUTSIDE, ask_udp_from, get, get_from, ip, network, numbered_network, on_a_host,
    on_both_kinds_of_host, tcp, udp,
};

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

#[test]
fn tcp_from_outside_the_host_and_loopback() {
    on_both_kinds_of_host(|lab| {
        let container = lab.container(&network(), 2, &[tcp(ANY, 8080, 80)]);
        container.serve(80);
        let outside = get_from(lab.outside.as_fd(), HOST, 8080).expect("from outside");
        assert_eq!(outside, IpAddr::from(OUTSIDE), "the source is kept");
        assert_eq!(get(HOST, 8080).expect("from the host"), IpAddr::from(HOST));
        assert_eq!(get(LOOPBACK, 8080).expect("loopback"), IpAddr::from(network().gateway));
        assert_eq!(
            get(Ipv4Addr::new(127, 9, 9, 9), 8080).expect("loopback"),
            IpAddr::from(network().gateway)
        );
        assert!(get(LOOPBACK, 80).is_err(), "the container's port is not the host's");
    });
}

#[test]
fn udp_from_outside_and_loopback() {
    on_both_kinds_of_host(|lab| {
        let container = lab.container(&network(), 2, &[udp(5353, 53)]);
        lab::serve_udp(container.netns.as_fd(), 53);
        let host = netns::current().expect("host");
        assert_eq!(ask_udp_from(lab.outside.as_fd(), HOST, 5353).expect("outside"), IpAddr::from(OUTSIDE));
        assert_eq!(ask_udp_from(host.as_fd(), LOOPBACK, 5353).expect("loopback"), network().gateway);
        assert!(get_from(lab.outside.as_fd(), HOST, 5353).is_err(), "tcp was not published");
    });
}

/// Such a client is common: a log or metrics sender. It never pauses long enough to be forgotten.
#[test]
fn a_udp_client_that_never_stops_reaches_each_new_owner_of_the_port() {
    on_a_host(|lab| {
        let network = network();
        let client = netns::within(lab.outside.as_fd(), || UdpSocket::bind("0.0.0.0:7777"))
            .expect("enter")
            .expect("bind");
        client.set_read_timeout(Some(Duration::from_millis(1500))).expect("timeout");
        client.connect((HOST, 5353)).expect("connect");
        let ask = || {
            client.send(b"who am I")?;
            client.recv(&mut [0; 64])
        };
        assert!(ask().is_err(), "nobody there yet");
        for last in [2, 3] {
            let container = lab.container(&network, last, &[udp(5353, 53)]);
            lab::serve_udp(container.netns.as_fd(), 53);
            // The refusal of an earlier packet may be told first.
            assert!(ask().or_else(|_| ask()).is_ok(), "owner {last}");
            lab.driver.leave(&network, &container.endpoint).expect("leave");
        }
    });
}

#[test]
fn a_port_of_one_host_address_is_on_no_other() {
    on_both_kinds_of_host(|lab| {
        ip("addr add 192.0.2.3/24 dev uplink");
        let network = network();
        let near = lab.container(&network, 2, &[tcp(LOOPBACK, 8080, 80)]);
        let far = lab.container(&network, 3, &[tcp(HOST, 8080, 80)]);
        near.serve(80);
        far.serve(80);
        assert_eq!(get(LOOPBACK, 8080).expect("loopback"), network.gateway);
        assert!(get_from(lab.outside.as_fd(), HOST, 8080).is_ok());
        assert!(get_from(lab.outside.as_fd(), Ipv4Addr::new(192, 0, 2, 3), 8080).is_err());
    });
}

#[test]
fn a_loopback_port_is_out_of_reach_for_other_machines() {
    on_both_kinds_of_host(|lab| {
        let container = lab.container(&network(), 2, &[tcp(LOOPBACK, 8080, 80)]);
        container.serve(80);
        assert!(get(LOOPBACK, 8080).is_ok());
        // A neighbour that sends packets for 127.0.0.1 to our hardware address.
        let to_us = || {
            std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").expect("sysctl");
            ip("addr del 127.0.0.1/8 dev lo");
            ip("route add 127.0.0.1/32 via 192.0.2.1 src 192.0.2.2");
            get(LOOPBACK, 8080)
        };
        let got = netns::within(lab.outside.as_fd(), to_us).expect("enter");
        assert!(got.is_err(), "{got:?}");
    });
}

#[test]
fn a_container_does_not_reach_the_hosts_loopback() {
    on_both_kinds_of_host(|lab| {
        let container = lab.container(&network(), 2, &[]);
        lab::serve_tcp(netns::current().expect("host").as_fd(), 9000);
        assert!(container.get(network().gateway, 9000).is_ok());
        let sly = || {
            std::fs::write("/proc/sys/net/ipv4/conf/all/route_localnet", "1").expect("sysctl");
            ip("addr del 127.0.0.1/8 dev lo");
            ip("route add 127.0.0.1/32 via 10.77.0.1 src 10.77.0.2");
            get(LOOPBACK, 9000)
        };
        let got = netns::within(container.netns.as_fd(), sly).expect("enter");
        assert!(got.is_err(), "{got:?}");
    });
}

#[test]
fn hairpin_to_itself_and_to_a_neighbour() {
    on_both_kinds_of_host(|lab| {
        let network = network();
        let a = lab.container(&network, 2, &[tcp(ANY, 8080, 80)]);
        let b = lab.container(&network, 3, &[]);
        a.serve(80);
        // More than once: an ICMP redirect would mislead the second packet, not the first.
        for _ in 0..3 {
            assert_eq!(b.get(HOST, 8080).expect("a neighbour's port"), network.gateway);
            assert_eq!(b.get(network.gateway, 8080).expect("by the gateway"), network.gateway);
            assert_eq!(a.get(HOST, 8080).expect("its own port"), network.gateway);
        }
    });
}

#[test]
fn a_port_is_reached_from_other_networks_and_without_icc() {
    on_both_kinds_of_host(|lab| {
        let (one, two) = (numbered_network(1), Network { icc: false, ..numbered_network(2) });
        let a = lab.container(&one, 2, &[]);
        let b = lab.container(&two, 2, &[tcp(ANY, 8080, 80)]);
        let c = lab.container(&two, 3, &[]);
        b.serve(80);
        assert!(a.get(HOST, 8080).is_ok(), "from another network");
        assert!(c.get(HOST, 8080).is_ok(), "from a neighbour");
        assert!(c.get(b.address(), 80).is_err(), "but not straight");
    });
}

#[test]
fn an_internal_network_publishes_nothing() {
    on_a_host(|lab| {
        let network = Network { internal: true, ..network() };
        let container = lab.container(&network, 2, &[tcp(ANY, 8080, 80)]);
        container.serve(80);
        assert!(get_from(lab.outside.as_fd(), HOST, 8080).is_err());
    });
}

#[test]
fn a_port_ends_with_its_endpoint_and_may_have_a_new_owner_before() {
    on_a_host(|lab| {
        let network = network();
        let first = lab.container(&network, 2, &[tcp(ANY, 8080, 80)]);
        first.serve(80);
        assert!(get_from(lab.outside.as_fd(), HOST, 8080).is_ok());
        // The first one's end is seen after the second one's start.
        let second = lab.container(&network, 3, &[tcp(ANY, 8080, 81)]);
        second.serve(81);
        lab.driver.leave(&network, &first.endpoint).expect("leave");
        drop(first);
        assert!(get_from(lab.outside.as_fd(), HOST, 8080).is_ok(), "the second one's");
        lab.driver.leave(&network, &second.endpoint).expect("leave");
        assert!(get_from(lab.outside.as_fd(), HOST, 8080).is_err());
    });
}

/// What docs and `nft list` readers see: the rules as people write them.
#[test]
fn the_table_reads_as_meant() {
    on_a_host(|lab| {
        let network = network();
        let _container = lab.container(&network, 2, &[tcp(ANY, 8080, 80), tcp(HOST, 53, 5353), udp(53, 53)]);
        let text = lab::run("nft", "list table ip barge");
        for expected in [
            "elements = { \"barge0\" }",
            "elements = { \"barge0\" . \"barge0\" }",
            "elements = { 10.77.0.0/24 }",
            "tcp . 8080 : 10.77.0.2 . 80",
            "udp . 53 : 10.77.0.2 . 53",
            "192.0.2.1 . tcp . 53 : 10.77.0.2 . 5353",
            "fib daddr type local dnat ip to meta l4proto . th dport map @published",
            "oifname @bridges ct status dnat accept",
        ] {
            assert!(text.contains(expected), "no {expected:?} in\n{text}");
        }
    });
}
