//! A host in a namespace, an outside machine behind its uplink, and containers.
//!
//! ```text
//! outside 192.0.2.2 ── uplink 192.0.2.1 [host] barge0 10.77.0.1/24 ── containers
//! ```

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::thread;
use std::time::Duration;

use barge_network::{
    Bridges, Driver, Endpoint, EndpointSpec, MacAddr, Network, Protocol, PublishedPort, sandbox,
};
use barge_sys::netns;

pub(crate) const HOST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub(crate) const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
pub(crate) const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
pub(crate) const TABLE: &str = "barge";

const PATIENCE: Duration = Duration::from_millis(1500);

/// Runs a test on a host of its own.
pub(crate) fn on_a_host(test: impl FnOnce(&Lab) + Send) {
    let run = || {
        netns::enter_new().expect("a namespace (this test needs root)");
        test(&Lab::new());
    };
    thread::scope(|scope| {
        if let Err(panic) = scope.spawn(run).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs a test twice: where bridged packets pass the IP firewall (`br_netfilter`), as they do
/// wherever Docker or Kubernetes have been, and where they don't.
pub(crate) fn on_both_kinds_of_host(test: impl Fn(&Lab) + Send + Sync) {
    const SYSCTL: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    for value in ["0", "1"] {
        on_a_host(|lab| {
            if std::path::Path::new(SYSCTL).exists() {
                std::fs::write(SYSCTL, value).expect("sysctl");
            }
            test(lab);
        });
    }
}

pub(crate) struct Lab {
    pub(crate) driver: Bridges,
    pub(crate) outside: OwnedFd,
}

impl Lab {
    fn new() -> Self {
        let outside = netns::create().expect("a namespace for the outside");
        ip("link set lo up");
        ip("link add uplink type veth peer name eth0");
        ip("addr add 192.0.2.1/24 dev uplink");
        ip("link set uplink up");
        let fd = std::os::fd::AsRawFd::as_raw_fd(&outside);
        ip(&format!("link set eth0 netns /proc/{}/fd/{fd}", std::process::id()));
        netns::within(outside.as_fd(), || {
            ip("addr add 192.0.2.2/24 dev eth0");
            ip("link set eth0 up");
            ip("link set lo up");
            ip("link show dev eth0");
        })
        .expect("enter the outside");
        // Makes the kernel see the carrier now; until then the first packets are dropped.
        ip("link show dev uplink");
        Self { driver: Bridges::open(TABLE).expect("driver"), outside }
    }

    /// A container on the network, its endpoint and its namespace.
    pub(crate) fn container(&self, network: &Network, last: u8, ports: &[PublishedPort]) -> Container {
        let netns = sandbox::create().expect("sandbox");
        let spec = spec(network, last, ports);
        let endpoint = self.driver.join(network, &spec, netns.as_fd()).expect("join");
        Container { netns, endpoint }
    }
}

pub(crate) struct Container {
    pub(crate) netns: OwnedFd,
    pub(crate) endpoint: Endpoint,
}

impl Container {
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.endpoint.spec.address
    }

    pub(crate) fn serve(&self, port: u16) {
        serve_tcp(self.netns.as_fd(), port);
    }

    pub(crate) fn get(&self, to: Ipv4Addr, port: u16) -> io::Result<IpAddr> {
        get_from(self.netns.as_fd(), to, port)
    }
}

/// 10.77.0.0/24 behind `barge0`.
pub(crate) fn network() -> Network {
    numbered_network(0)
}

/// 10.77.N.0/24 behind `bargeN`.
pub(crate) fn numbered_network(number: u8) -> Network {
    Network {
        id: format!("{number:064x}"),
        name: format!("net{number}"),
        bridge: format!("barge{number}"),
        subnet: format!("10.77.{number}.0/24").parse().expect("a subnet"),
        gateway: Ipv4Addr::new(10, 77, number, 1),
        mtu: 1500,
        masquerade: true,
        icc: true,
        internal: false,
        default_binding: Ipv4Addr::UNSPECIFIED.into(),
    }
}

pub(crate) fn spec(network: &Network, last: u8, ports: &[PublishedPort]) -> EndpointSpec {
    let [a, b, c, _] = network.gateway.octets();
    let address = Ipv4Addr::new(a, b, c, last);
    EndpointSpec {
        id: format!("{last:064x}"),
        interface: "eth0".to_owned(),
        address,
        mac: MacAddr::from_ip(address),
        default_route: true,
        ports: ports.to_vec(),
    }
}

pub(crate) fn tcp(host_ip: Ipv4Addr, host_port: u16, container_port: u16) -> PublishedPort {
    PublishedPort { container_port, protocol: Protocol::Tcp, host_ip: host_ip.into(), host_port }
}

pub(crate) fn udp(host_port: u16, container_port: u16) -> PublishedPort {
    PublishedPort { protocol: Protocol::Udp, ..tcp(Ipv4Addr::UNSPECIFIED, host_port, container_port) }
}

/// Answers every connection with the address that it seems to come from.
pub(crate) fn serve_tcp(netns: BorrowedFd<'_>, port: u16) {
    let listener = netns::within(netns, || TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
        .expect("enter")
        .expect("listen");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            if let Ok(peer) = stream.peer_addr() {
                let _ = stream.write_all(peer.ip().to_string().as_bytes());
            }
        }
    });
}

pub(crate) fn serve_udp(netns: BorrowedFd<'_>, port: u16) {
    let socket = netns::within(netns, || UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)))
        .expect("enter")
        .expect("bind");
    thread::spawn(move || {
        let mut buffer = [0; 16];
        while let Ok((_, peer)) = socket.recv_from(&mut buffer) {
            let _ = socket.send_to(peer.ip().to_string().as_bytes(), peer);
        }
    });
}

/// Connects from the calling thread's namespace; the server's word on who is calling.
pub(crate) fn get(to: Ipv4Addr, port: u16) -> io::Result<IpAddr> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((to, port)), PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    text.parse().map_err(io::Error::other)
}

pub(crate) fn get_from(netns: BorrowedFd<'_>, to: Ipv4Addr, port: u16) -> io::Result<IpAddr> {
    netns::within(netns, || get(to, port)).expect("enter")
}

pub(crate) fn ask_udp_from(netns: BorrowedFd<'_>, to: Ipv4Addr, port: u16) -> io::Result<IpAddr> {
    netns::within(netns, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect((to, port))?;
        socket.send(b"who am I")?;
        let mut buffer = [0; 64];
        let length = socket.recv(&mut buffer)?;
        String::from_utf8_lossy(&buffer[..length]).parse().map_err(io::Error::other)
    })
    .expect("enter")
}

/// Runs `ip` in the calling thread's namespace.
pub(crate) fn ip(arguments: &str) -> String {
    run("ip", arguments)
}

pub(crate) fn run(program: &str, arguments: &str) -> String {
    let output = Command::new(program).args(arguments.split_whitespace()).output().expect("the program runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Waits until `condition` holds; the kernel takes namespaces down in its own time.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..200 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(25));
    }
    panic!("not within 5 s: {what}");
}
