//! Endpoints: reaching each other, or not, and the outside.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::thread;

use barge_network::{Driver, Error, Network, sandbox};
use barge_sys::netns;

use crate::lab::{
    self, HOST, OUTSIDE, get, ip, network, numbered_network, on_a_host, on_both_kinds_of_host, spec,
};

#[test]
fn an_endpoint_has_its_address_route_mac_and_mtu() {
    on_a_host(|lab| {
        let network = Network { mtu: 1400, ..network() };
        let container = lab.container(&network, 2, &[]);
        let (links, addresses, routes) = netns::within(container.netns.as_fd(), || {
            (ip("link show eth0"), ip("-4 addr show eth0"), ip("route"))
        })
        .expect("enter");
        assert!(links.contains("mtu 1400") && links.contains("state UP"), "{links}");
        assert!(links.contains("02:42:0a:4d:00:02"), "{links}");
        assert!(addresses.contains("inet 10.77.0.2/24 brd 10.77.0.255"), "{addresses}");
        assert!(routes.contains("default via 10.77.0.1 dev eth0"), "{routes}");
        let loopback = netns::within(container.netns.as_fd(), || ip("addr show lo")).expect("enter");
        assert!(loopback.contains("127.0.0.1/8") && loopback.contains("::1/128"), "{loopback}");
        let six = netns::within(container.netns.as_fd(), || ip("-6 addr show eth0")).expect("enter");
        assert_eq!(six, "", "no link-local address that no rule watches");
    });
}

#[test]
fn endpoints_reach_each_other_the_host_and_the_outside() {
    on_both_kinds_of_host(|lab| {
        let network = network();
        let (a, b) = (lab.container(&network, 2, &[]), lab.container(&network, 3, &[]));
        b.serve(80);
        assert_eq!(a.get(b.address(), 80).expect("neighbour"), IpAddr::from(a.address()));
        assert_eq!(get(b.address(), 80).expect("from the host"), IpAddr::from(network.gateway));
        lab::serve_tcp(netns::current().expect("host").as_fd(), 81);
        assert_eq!(a.get(network.gateway, 81).expect("the host"), IpAddr::from(a.address()));
        lab::serve_tcp(lab.outside.as_fd(), 82);
        assert_eq!(a.get(OUTSIDE, 82).expect("masqueraded"), IpAddr::from(HOST));
    });
}

#[test]
fn without_masquerade_packets_keep_their_address() {
    on_a_host(|lab| {
        let network = Network { masquerade: false, ..network() };
        let a = lab.container(&network, 2, &[]);
        netns::within(lab.outside.as_fd(), || ip("route add 10.77.0.0/24 via 192.0.2.1")).expect("enter");
        lab::serve_tcp(lab.outside.as_fd(), 82);
        assert_eq!(a.get(OUTSIDE, 82).expect("routed"), IpAddr::from(a.address()));
    });
}

#[test]
fn without_icc_neighbours_are_out_of_reach_but_the_host_and_the_outside_are_not() {
    on_both_kinds_of_host(|lab| {
        let network = Network { icc: false, ..network() };
        let (a, b) = (lab.container(&network, 2, &[]), lab.container(&network, 3, &[]));
        b.serve(80);
        assert!(a.get(b.address(), 80).is_err());
        assert!(get(b.address(), 80).is_ok());
        lab::serve_tcp(lab.outside.as_fd(), 82);
        assert!(a.get(OUTSIDE, 82).is_ok());
    });
}

#[test]
fn an_internal_network_is_cut_off_from_all_but_the_host() {
    on_both_kinds_of_host(|lab| {
        let network = Network { internal: true, ..network() };
        let (a, b) = (lab.container(&network, 2, &[]), lab.container(&network, 3, &[]));
        b.serve(80);
        assert!(a.get(b.address(), 80).is_ok());
        assert!(get(b.address(), 80).is_ok());
        lab::serve_tcp(lab.outside.as_fd(), 82);
        assert!(a.get(OUTSIDE, 82).is_err());
        // Nor by a route that the container makes for itself.
        netns::within(a.netns.as_fd(), || ip("route add default via 10.77.0.1")).expect("enter");
        assert!(a.get(OUTSIDE, 82).is_err());
    });
}

#[test]
fn networks_are_strangers_to_each_other() {
    on_both_kinds_of_host(|lab| {
        let (one, two) = (numbered_network(1), numbered_network(2));
        let (a, b) = (lab.container(&one, 2, &[]), lab.container(&two, 2, &[]));
        b.serve(80);
        assert!(a.get(b.address(), 80).is_err());
        // A stranger outside that routes by us does not get in either.
        netns::within(lab.outside.as_fd(), || ip("route add 10.77.0.0/16 via 192.0.2.1")).expect("enter");
        assert!(lab::get_from(lab.outside.as_fd(), b.address(), 80).is_err());
    });
}

#[test]
fn one_sandbox_may_join_two_networks() {
    on_a_host(|lab| {
        let (one, two) = (numbered_network(1), numbered_network(2));
        let a = lab.container(&one, 2, &[]);
        let mut second = spec(&two, 2, &[]);
        second.interface = "eth1".to_owned();
        second.default_route = false;
        let endpoint = lab.driver.join(&two, &second, a.netns.as_fd()).expect("join");
        let b = lab.container(&two, 3, &[]);
        b.serve(80);
        assert!(a.get(b.address(), 80).is_ok());
        lab.driver.detach(&two, &endpoint).expect("detach");
        assert!(a.get(b.address(), 80).is_err());
        assert!(!netns::within(a.netns.as_fd(), || ip("link")).expect("enter").contains("eth1"));
    });
}

#[test]
fn fifty_at_once() {
    on_a_host(|lab| {
        let network = network();
        let containers: Vec<_> = thread::scope(|scope| {
            let joins: Vec<_> = (0..50u8)
                .map(|number| {
                    let network = &network;
                    let port = lab::tcp(std::net::Ipv4Addr::UNSPECIFIED, 8000 + u16::from(number), 80);
                    scope.spawn(move || lab.container(network, 10 + number, &[port]))
                })
                .collect();
            joins.into_iter().map(|join| join.join().expect("joins")).collect()
        });
        for (container, port) in containers.iter().zip(8000..) {
            container.serve(80);
            assert!(lab::get_from(lab.outside.as_fd(), HOST, port).is_ok(), "port {port}");
        }
    });
}

#[test]
fn a_failed_join_leaves_nothing() {
    on_a_host(|lab| {
        let network = network();
        lab.driver.up(&network).expect("up");
        let netns = sandbox::create().expect("sandbox");
        // A route by a gateway that is not on the subnet is refused, after the pair was made.
        let stray = Network { gateway: "10.99.0.1".parse().expect("ip"), ..network.clone() };
        let mut endpoint = spec(&network, 2, &[lab::tcp(HOST, 8080, 80)]);
        let error = lab.driver.join(&stray, &endpoint, netns.as_fd()).expect_err("refused");
        assert!(matches!(error, Error::Configure { .. }), "{error}");
        endpoint.interface = "a-name-longer-than-fifteen-bytes".to_owned();
        let error = lab.driver.join(&network, &endpoint, netns.as_fd()).expect_err("refused");
        assert!(matches!(error, Error::VethCreate { .. }), "{error}");
        assert!(!ip("link").contains("veth"), "{}", ip("link"));
        assert!(!lab::run("nft", "list table ip barge").contains("8080"));
    });
}

#[test]
fn a_link_that_is_no_bridge_is_refused() {
    on_a_host(|lab| {
        ip("link add barge0 type veth peer name other");
        let error = lab.driver.up(&network()).expect_err("refused");
        assert!(matches!(error, Error::NotABridge { .. }), "{error}");
    });
}
