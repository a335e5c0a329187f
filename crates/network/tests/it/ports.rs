//! Claims on host ports.

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::ops::RangeInclusive;

use barge_network::Protocol;
use barge_network::ports::{PortRequest, reserve};

use crate::lab::on_a_host;

fn request(host_ip: Ipv4Addr, host_ports: Option<RangeInclusive<u16>>, protocol: Protocol) -> PortRequest {
    PortRequest { container_port: 80, protocol, host_ip: host_ip.into(), host_ports }
}

const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

#[test]
fn a_port_is_held_against_programs_and_containers() {
    on_a_host(|_| {
        let held = reserve(&[request(ANY, Some(8080..=8080), Protocol::Tcp)]).expect("free");
        assert_eq!(held[0].published.host_port, 8080);
        assert!(TcpListener::bind("0.0.0.0:8080").is_err(), "std sets SO_REUSEADDR");
        for host in [ANY, Ipv4Addr::LOCALHOST] {
            let error = reserve(&[request(host, Some(8080..=8080), Protocol::Tcp)]).expect_err("taken");
            assert!(error.is_port_taken(), "{error}");
        }
        assert!(reserve(&[request(ANY, Some(8080..=8080), Protocol::Udp)]).is_ok(), "udp is another port");
        drop(held);
        assert!(TcpListener::bind("0.0.0.0:8080").is_ok());
    });
}

#[test]
fn a_port_that_a_program_listens_on_is_taken() {
    on_a_host(|_| {
        let _listener = TcpListener::bind("127.0.0.1:8080").expect("listen");
        let error = reserve(&[request(ANY, Some(8080..=8080), Protocol::Tcp)]).expect_err("taken");
        assert!(error.is_port_taken(), "{error}");
    });
}

#[test]
fn lingering_connections_of_an_ended_server_don_t_hold_a_port() {
    on_a_host(|_| {
        let listener = TcpListener::bind("127.0.0.1:8080").expect("listen");
        let client = TcpStream::connect("127.0.0.1:8080").expect("connect");
        let (server, _) = listener.accept().expect("accept");
        // The server's side closes first and stays in TIME_WAIT.
        drop(server);
        drop(client);
        drop(listener);
        assert!(reserve(&[request(ANY, Some(8080..=8080), Protocol::Tcp)]).is_ok());
    });
}

#[test]
fn ranges_and_random_ports() {
    on_a_host(|_| {
        let pair = || request(ANY, Some(9000..=9001), Protocol::Tcp);
        let held = reserve(&[pair(), pair()]).expect("two are free");
        let ports: Vec<_> = held.iter().map(|one| one.published.host_port).collect();
        assert_eq!(ports, [9000, 9001]);
        let error = reserve(&[pair()]).expect_err("none left");
        assert!(error.is_port_taken(), "{error}");
        let random =
            reserve(&[request(ANY, None, Protocol::Tcp), request(ANY, None, Protocol::Udp)]).expect("free");
        assert!(random.iter().all(|one| (32768..=60999).contains(&one.published.host_port)));
    });
}

#[test]
fn all_or_none() {
    on_a_host(|_| {
        let _taken = TcpListener::bind("0.0.0.0:9001").expect("listen");
        let wanted = [9000, 9001].map(|port| request(ANY, Some(port..=port), Protocol::Tcp));
        assert!(reserve(&wanted).is_err());
        assert!(TcpListener::bind("0.0.0.0:9000").is_ok(), "given back");
    });
}

#[test]
fn addresses_that_are_not_the_hosts() {
    on_a_host(|_| {
        let error = reserve(&[request(Ipv4Addr::new(198, 51, 100, 7), Some(80..=80), Protocol::Tcp)]);
        assert!(!error.expect_err("not ours").is_port_taken());
        let six: IpAddr = "::1".parse().expect("ip");
        let request = PortRequest { host_ip: six, ..request(ANY, Some(80..=80), Protocol::Tcp) };
        assert!(reserve(&[request]).is_err());
    });
}
