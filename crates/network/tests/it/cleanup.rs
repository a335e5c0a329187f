//! Nothing is left behind.

use std::os::fd::AsFd;

use barge_network::{Driver, sandbox};

use crate::lab::{HOST, eventually, ip, network, on_a_host, run, spec, tcp};

#[test]
fn after_leave_and_down_nothing_is_left() {
    on_a_host(|lab| {
        let network = network();
        let container = lab.container(&network, 2, &[tcp(HOST, 8080, 80)]);
        lab.driver.leave(&network, &container.endpoint).expect("leave");
        lab.driver.leave(&network, &container.endpoint).expect("twice is no error");
        drop(container);
        eventually("the veth goes", || !ip("link").contains("veth"));
        lab.driver.down(&network).expect("down");
        assert!(!ip("link").contains("barge0"));
        assert_eq!(run("nft", "list ruleset"), "");
    });
}

#[test]
fn the_link_goes_even_if_somebody_holds_the_sandbox() {
    on_a_host(|lab| {
        let network = network();
        let container = lab.container(&network, 2, &[]);
        lab.driver.leave(&network, &container.endpoint).expect("leave");
        eventually("the reaper removes the veth", || !ip("link").contains("veth"));
    });
}

#[test]
fn a_driver_that_goes_does_not_wait_to_clean_up() {
    on_a_host(|lab| {
        let network = network();
        let netns = sandbox::create().expect("sandbox");
        let driver = barge_network::Bridges::open("barge").expect("driver");
        let endpoint = driver.join(&network, &spec(&network, 2, &[]), netns.as_fd()).expect("join");
        driver.leave(&network, &endpoint).expect("leave");
        drop(driver);
        assert!(!ip("link").contains("veth"));
        let _ = lab;
    });
}

#[test]
fn a_driver_without_networks_leaves_no_table() {
    on_a_host(|lab| {
        lab.driver.reconcile(&[]).expect("reconcile");
        assert_eq!(run("nft", "list ruleset"), "");
    });
}
