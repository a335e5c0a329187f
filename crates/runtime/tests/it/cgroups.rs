//! Limits, stopping, counting and the end of cgroups.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bundle::{Bundle, Outcome, program};

fn legacy() -> bool {
    Path::new("/sys/fs/cgroup/memory/tasks").exists()
}

#[test]
fn limits_are_in_the_files_and_gone_afterwards() {
    if !legacy() {
        return;
    }
    let bundle = Bundle::shell("sleep 100").set(
        "/linux/resources",
        json!({
            "memory": {"limit": 67108864, "swap": 134217728, "reservation": 33554432},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 50},
            "blockIO": {"weight": 300}
        }),
    );
    bundle.start();
    for (controller, file, expected) in [
        ("memory", "memory.limit_in_bytes", "67108864"),
        ("memory", "memory.memsw.limit_in_bytes", "134217728"),
        ("memory", "memory.soft_limit_in_bytes", "33554432"),
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("pids", "pids.max", "50"),
    ] {
        let found = fs::read_to_string(bundle.cgroup(controller).join(file)).unwrap();
        assert_eq!(found.trim(), expected, "{file}");
    }
    bundle.command(&["delete", "--force", &bundle.id]).good();
    for controller in ["memory", "cpu", "pids", "systemd", "freezer", "devices"] {
        assert!(!bundle.cgroup(controller).exists(), "{controller}");
    }
}

#[test]
fn memory_above_the_limit_is_an_oom_kill() {
    if !legacy() {
        return;
    }
    let bundle = Bundle::shell("tail -c 200m /dev/zero")
        .set("/linux/resources/memory", json!({"limit": 16777216, "swap": 16777216}));
    let outcome = bundle.drive(json!({}));
    assert_eq!(outcome.code, 137, "{outcome:?}");
    assert!(outcome.stderr.contains("oom killed"), "{outcome:?}");
}

#[test]
fn more_processes_than_allowed_can_not_be() {
    if !legacy() {
        return;
    }
    let bundle = Bundle::shell("sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait")
        .set("/linux/resources/pids", json!({"limit": 3}));
    assert!(bundle.run().stderr.contains("can't fork"));
}

#[test]
fn kill_all_ends_processes_that_share_the_hosts_pids() {
    let bundle = Bundle::shell("sleep 1000 & sleep 1000 & echo up; wait").set(
        "/linux/namespaces",
        json!([{"type": "mount"}, {"type": "network"}, {"type": "uts"}, {"type": "ipc"}]),
    );
    bundle.start();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !bundle.output().contains("up") && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let procs = || fs::read_to_string(bundle.cgroup("freezer").join("cgroup.procs")).unwrap_or_default();
    assert_eq!(procs().lines().count(), 3);
    bundle.command(&["kill", "--all", &bundle.id, "KILL"]).good();
    while !procs().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(procs(), "");
}

/// The host of these tests has version 1 or both; here is one with version 2 alone, in a mount namespace of its own.
#[test]
fn version_two_alone_works() {
    let bundle = Bundle::shell(
        "cat /proc/self/cgroup | grep -c '^0::/$'; cat /sys/fs/cgroup/cgroup.procs | head -1; \
         (cat /dev/tun-like | head -c 1) 2>&1 | grep -o 'not permitted'",
    )
    .set("/linux/devices", json!([{"path": "/dev/tun-like", "type": "c", "major": 10, "minor": 200}]));
    let mut bundle = bundle;
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
    bundle.write();
    let directory = bundle.directory.display();
    let run = format!(
        "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup && \
         {program} --root {directory}/state run -b {directory} {id} && \
         test ! -e /sys/fs/cgroup/barge-{id} && echo gone",
        program = program().display(),
        id = bundle.id
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &run]).output().unwrap();
    assert_eq!(Outcome::of(output).good(), "1\n1\nnot permitted\ngone\n");
}
