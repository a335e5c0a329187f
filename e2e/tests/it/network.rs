//! The default bridge, published ports, and the way out.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use barge_e2e::{Client, Daemon, wait_until};

/// A web server that serves its own host name.
const SERVER: &[&str] =
    &["busybox", "sh", "-c", "hostname >/var/www/index.html; exec httpd -f -p 80 -h /var/www"];

fn fetch(address: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address.parse().ok()?, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"GET /index.html HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.contains("200 OK").then_some(text)
}

fn serve(daemon: &Daemon, client: Client, name: &str, flags: &[&str]) {
    let mut arguments = vec!["run", "-d", "--name", name, "-h", name];
    arguments.extend(flags);
    arguments.extend(SERVER);
    daemon.client(client, &arguments).ok();
}

#[test]
fn published_ports_answer_on_loopback_and_on_the_bridge() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        serve(&daemon, client, "web", &["-p", "80"]);
        let port = daemon.client(client, &["port", "web", "80/tcp"]).text();
        let port = port.lines().next().expect("a line").rsplit(':').next().expect("a port").to_owned();
        wait_until("the server answers", || fetch(&format!("127.0.0.1:{port}")).is_some());
        let gateway = daemon.inspect("web", "{{.NetworkSettings.Gateway}}");
        assert!(fetch(&format!("{gateway}:{port}")).is_some(), "on the host's own address");
        let container = daemon.inspect("web", "{{.NetworkSettings.IPAddress}}");
        assert!(fetch(&format!("{container}:80")).is_some(), "straight to the container");
        let from_peer = daemon
            .docker(&["run", "--rm", "busybox", "wget", "-qO-", &format!("http://{gateway}:{port}/")])
            .text();
        assert_eq!(from_peer, "web", "from another container by the host's address");
        daemon.docker(&["rm", "-f", "web"]).ok();
        assert!(fetch(&format!("127.0.0.1:{port}")).is_none(), "no longer after removal");
    }
}

#[test]
fn a_port_is_published_on_one_address_only_when_asked() {
    let daemon = Daemon::start();
    serve(&daemon, Client::Barge, "web", &["-p", "127.0.0.1::80"]);
    let address = daemon.docker(&["port", "web", "80"]).text();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    wait_until("the server answers", || fetch(&address).is_some());
    let gateway = daemon.inspect("web", "{{.NetworkSettings.Gateway}}");
    assert!(fetch(&address.replace("127.0.0.1", &gateway)).is_none());
    let shown = daemon.docker(&["ps", "--format", "{{.Ports}}"]).text();
    assert_eq!(shown, format!("{address}->80/tcp"));
}

/// Not a test but a static program that a container can run: this busybox has no UDP server.
#[test]
#[ignore = "the UDP server of ranges_and_udp_and_publish_all"]
fn echo_server_inside_a_container() {
    let socket = UdpSocket::bind("0.0.0.0:5000").expect("bind");
    let mut buffer = [0; 1500];
    while let Ok((count, from)) = socket.recv_from(&mut buffer) {
        socket.send_to(&buffer[..count], from).expect("answer");
    }
}

#[test]
fn ranges_and_udp_and_publish_all() {
    let daemon = Daemon::start();
    let server = std::env::current_exe().expect("the test knows its own path");
    let server = format!("{}:/server:ro", server.display());
    let arguments = ["run", "-d", "--name", "echo", "-p", "127.0.0.1:0:5000/udp", "-v", &server, "busybox"];
    let server = ["/server", "--ignored", "--exact", "network::echo_server_inside_a_container"];
    daemon.docker(&[&arguments[..], &server[..]].concat()).ok();
    let address = daemon.docker(&["port", "echo", "5000/udp"]).text();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    socket.set_read_timeout(Some(Duration::from_millis(300))).expect("set the timeout");
    wait_until("the echo comes back", || {
        let _ = socket.send_to(b"ping", &address);
        socket.recv(&mut [0; 16]).is_ok_and(|count| count == 4)
    });
    let archive = barge_e2e::busybox_archive().to_string_lossy().into_owned();
    daemon
        .docker(&[
            "import",
            "--change",
            "EXPOSE 80 81/udp",
            "--change",
            "CMD [\"sleep\",\"600\"]",
            &archive,
            "exposes",
        ])
        .ok();
    daemon.barge(&["run", "-d", "--name", "all", "-P", "exposes"]).ok();
    assert_eq!(
        daemon.barge(&["port", "all"]).text().lines().filter(|line| line.contains("0.0.0.0:")).count(),
        2
    );
    let base = 20_000 + std::process::id() % 20_000;
    let range = format!("127.0.0.1:{}-{}:7000-7002", base, base + 2);
    daemon.docker(&["run", "-d", "--name", "range", "-p", &range, "busybox", "sleep", "600"]).ok();
    assert_eq!(daemon.docker(&["port", "range"]).text().lines().count(), 3);
}

#[test]
fn containers_reach_each_other_and_have_addresses_of_their_own() {
    let daemon = Daemon::start();
    serve(&daemon, Client::Docker, "web", &[]);
    let address = daemon.inspect("web", "{{.NetworkSettings.Networks.bridge.IPAddress}}");
    wait_until("the server answers", || {
        daemon.docker(&["run", "--rm", "busybox", "wget", "-qO-", &format!("http://{address}/")]).stdout
            == "web\n"
    });
    let mine = daemon.docker(&["run", "--rm", "busybox", "hostname", "-i"]).text();
    assert_ne!(mine, address);
    assert_eq!(
        daemon.docker(&["exec", "web", "sh", "-c", "ip -4 addr show eth0 | grep -o 'inet [0-9.]*'"]).text(),
        format!("inet {address}")
    );
}

#[test]
fn network_none_has_only_loopback() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        assert_eq!(
            daemon
                .client(client, &["run", "--rm", "--network", "none", "busybox", "ls", "/sys/class/net"])
                .text(),
            "lo"
        );
    }
}

#[test]
fn rules_of_others_are_left_alone_and_ours_go_with_the_containers() {
    let daemon = Daemon::start();
    let tables = || barge_e2e::run(std::process::Command::new("nft").args(["list", "tables"]), b"").text();
    let foreign =
        tables().lines().filter(|line| !line.contains("barge")).map(str::to_owned).collect::<Vec<_>>();
    serve(&daemon, Client::Docker, "web", &["-p", "127.0.0.1:0:80"]);
    daemon.docker(&["rm", "-f", "web"]).ok();
    assert_eq!(
        tables().lines().filter(|line| !line.contains("barge")).map(str::to_owned).collect::<Vec<_>>(),
        foreign
    );
}

#[test]
fn fifty_containers_started_at_once() {
    let daemon = Daemon::start();
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                for _ in 0..5 {
                    daemon.barge(&["run", "-d", "busybox", "sleep", "600"]).ok();
                }
            });
        }
    });
    let ids = daemon.docker(&["ps", "-q"]).text();
    assert_eq!(ids.lines().count(), 50);
    let mut arguments = vec!["inspect", "--format", "{{.NetworkSettings.IPAddress}}"];
    arguments.extend(ids.lines());
    let mut addresses: Vec<String> = daemon.docker(&arguments).text().lines().map(str::to_owned).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 50, "each has its own address");
}
