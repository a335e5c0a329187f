//! The table among others, and after others had a hand in it.

use std::os::fd::AsFd;

use barge_network::Driver;
use barge_sys::netns;

use crate::lab::{self, HOST, OUTSIDE, get_from, network, numbered_network, on_a_host, run, tcp};

#[test]
fn a_flushed_ruleset_is_put_back_by_the_next_join() {
    on_a_host(|lab| {
        let network = network();
        let first = lab.container(&network, 2, &[tcp(HOST, 8080, 80)]);
        first.serve(80);
        run("nft", "flush ruleset");
        assert!(get_from(lab.outside.as_fd(), HOST, 8080).is_err());
        let second = lab.container(&network, 3, &[]);
        assert!(get_from(lab.outside.as_fd(), HOST, 8080).is_ok(), "the first one's port is back");
        lab::serve_tcp(lab.outside.as_fd(), 82);
        assert!(second.get(OUTSIDE, 82).is_ok(), "and so is masquerading");
    });
}

#[test]
fn tables_of_others_are_left_alone_and_their_drop_policy_is_told() {
    on_a_host(|lab| {
        run("nft", "add table ip theirs");
        run("nft", "add chain ip theirs through { type filter hook forward priority 0 ; policy drop ; }");
        let before = run("nft", "list table ip theirs");
        lab.driver.up(&network()).expect("up");
        let warnings = lab.driver.obstacles();
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains("through") && warnings[0].contains("theirs"), "{warnings:?}");
        assert_eq!(run("nft", "list table ip theirs"), before);
        run("nft", "delete table ip theirs");
        assert_eq!(lab.driver.obstacles(), Vec::<String>::new());
    });
}

#[test]
fn a_removed_bridge_is_put_back_with_its_ports() {
    on_a_host(|lab| {
        let network = network();
        let first = lab.container(&network, 2, &[]);
        lab::ip("link del barge0");
        let second = lab.container(&network, 3, &[]);
        first.serve(80);
        assert!(second.get(first.address(), 80).is_ok());
    });
}

#[test]
fn a_network_leaves_the_table_without_the_others() {
    on_a_host(|lab| {
        let (one, two) = (numbered_network(1), numbered_network(2));
        lab.driver.up(&one).expect("up");
        lab.driver.up(&two).expect("up");
        lab.driver.down(&one).expect("down");
        let text = run("nft", "list table ip barge");
        assert!(!text.contains("barge1") && !text.contains("10.77.1.0"), "{text}");
        assert!(text.contains("barge2") && text.contains("10.77.2.0/24"), "{text}");
        lab.driver.down(&one).expect("twice is no error");
        let _here = netns::current().expect("host");
    });
}
