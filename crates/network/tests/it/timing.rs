//! Where the time of a join goes. No assertion: run with `--nocapture` to read it.

use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use barge_network::{Driver, sandbox};

use crate::lab::{network, on_a_host, spec, tcp};

#[test]
fn print_the_cost_of_a_join() {
    on_a_host(|lab| {
        let network = network();
        lab.driver.up(&network).expect("up");
        let mut steps: [Vec<Duration>; 4] = Default::default();
        for round in 0..60u16 {
            let port = tcp(Ipv4Addr::UNSPECIFIED, 8000 + round, 80);
            let spec = spec(&network, 10 + round as u8, &[port]);
            let start = Instant::now();
            let netns = sandbox::create().expect("sandbox");
            steps[0].push(start.elapsed());
            let start = Instant::now();
            let endpoint = lab.driver.join(&network, &spec, netns.as_fd()).expect("join");
            steps[1].push(start.elapsed());
            let start = Instant::now();
            lab.driver.leave(&network, &endpoint).expect("leave");
            steps[2].push(start.elapsed());
            let start = Instant::now();
            drop(netns);
            steps[3].push(start.elapsed());
            std::thread::sleep(Duration::from_millis(20));
        }
        for (name, times) in ["sandbox", "join", "leave", "drop"].iter().zip(&mut steps) {
            times.sort();
            println!("{name:>8}: median {:?}, p90 {:?}", times[times.len() / 2], times[times.len() * 9 / 10]);
        }
    });
}
