//! A daemon that comes back: what is true is kept, what is stale goes, what is missing returns.

use std::net::IpAddr;
use std::os::fd::AsFd;

use barge_network::{Bridges, Driver};

use crate::lab::{
    HOST, OUTSIDE, TABLE, eventually, get_from, ip, network, numbered_network, on_a_host, run, tcp,
};

#[test]
fn the_living_are_taken_over_and_the_dead_removed() {
    on_a_host(|lab| {
        let network = network();
        let living = lab.container(&network, 2, &[tcp(HOST, 8080, 80)]);
        let dead = lab.container(&network, 3, &[tcp(HOST, 8081, 80)]);
        living.serve(80);
        dead.serve(80);
        // Killed, and started again.
        let driver = Bridges::open(TABLE).expect("driver");
        driver.reconcile(&[(network.clone(), vec![living.endpoint.clone()])]).expect("reconcile");
        let answer = get_from(lab.outside.as_fd(), HOST, 8080).expect("still published");
        assert_eq!(answer, IpAddr::from(OUTSIDE));
        assert!(get_from(lab.outside.as_fd(), HOST, 8081).is_err());
        let links = ip("link");
        assert!(links.contains(&living.endpoint.veth), "{links}");
        assert!(!links.contains(&dead.endpoint.veth), "{links}");
        driver.leave(&network, &living.endpoint).expect("leave");
        drop(living);
        eventually("the veth goes with its namespace", || !ip("link").contains("veth"));
    });
}

#[test]
fn what_got_lost_is_put_back() {
    on_a_host(|lab| {
        let (network, gone) = (network(), numbered_network(7));
        let container = lab.container(&network, 2, &[tcp(HOST, 8080, 80)]);
        container.serve(80);
        lab.driver.up(&gone).expect("up");
        run("nft", "flush ruleset");
        ip("link del barge0");
        ip("addr add 10.99.0.1/24 dev barge7");
        let driver = Bridges::open(TABLE).expect("driver");
        let actual = [(network, vec![container.endpoint.clone()]), (gone, vec![])];
        driver.reconcile(&actual).expect("reconcile");
        assert!(get_from(lab.outside.as_fd(), HOST, 8080).is_ok());
        let addresses = ip("-4 addr show barge7");
        assert!(addresses.contains("10.77.7.1/24") && !addresses.contains("10.99"), "{addresses}");
        driver.reconcile(&actual).expect("again");
        assert!(get_from(lab.outside.as_fd(), HOST, 8080).is_ok());
    });
}

#[test]
fn connections_outlive_a_replaced_table() {
    use std::io::{Read, Write};
    on_a_host(|lab| {
        let network = network();
        let container = lab.container(&network, 2, &[tcp(HOST, 8080, 80)]);
        let inside = || std::net::TcpListener::bind("0.0.0.0:80");
        let listener =
            barge_sys::netns::within(container.netns.as_fd(), inside).expect("enter").expect("bind");
        let outside = || std::net::TcpStream::connect("192.0.2.1:8080");
        let mut client =
            barge_sys::netns::within(lab.outside.as_fd(), outside).expect("enter").expect("connect");
        let (mut server, _) = listener.accept().expect("accept");
        let driver = Bridges::open(TABLE).expect("driver");
        driver.reconcile(&[(network, vec![container.endpoint.clone()])]).expect("reconcile");
        client.write_all(b"still here").expect("write");
        let mut buffer = [0; 10];
        server.read_exact(&mut buffer).expect("read");
        assert_eq!(&buffer, b"still here");
    });
}

/// Daemons start while others start containers: the kernel then says that its listings are torn.
#[test]
fn links_that_come_and_go_do_not_disturb_a_reconcile() {
    on_a_host(|lab| {
        let network = network();
        let container = lab.container(&network, 2, &[]);
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    ip("link add passing type veth peer name through");
                    ip("link del passing");
                }
            });
            let actual = [(network, vec![container.endpoint.clone()])];
            let outcomes: Vec<_> = (0..50).map(|_| lab.driver.reconcile(&actual)).collect();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            for outcome in outcomes {
                outcome.expect("reconcile");
            }
        });
        assert!(ip("link").contains(&container.endpoint.veth));
    });
}
