//! Limits, stopping, counting and the end of cgroups.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use barge_oci::runtime_spec::LinuxResources;
use barge_runtime::Cgroup;
use serde_json::json;

use crate::bundle::{Bundle, Outcome, program};

/// Whether this host has version 1; says so when a test can't run. Not captured, so that it is always seen.
fn legacy() -> bool {
    let there = Path::new("/sys/fs/cgroup/memory/tasks").exists();
    if !there {
        let _ = writeln!(std::io::stderr(), "skipped: needs cgroup v1 (unified.rs has the same for v2)");
    }
    there
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
fn what_the_kernel_would_change_is_refused() {
    if !legacy() {
        return;
    }
    let cases = [
        (json!({"cpu": {"shares": 1}}), "the minimum allowed cpu-shares is 2"),
        (json!({"cpu": {"shares": 262145}}), "the maximum allowed cpu-shares is 262144"),
        (
            json!({"memory": {"swappiness": 101}}),
            "invalid memory swappiness value: 101 (valid range is 0-100)",
        ),
        (json!({"unified": {"memory.high": "1"}}), "cannot use unified on cgroup v1"),
    ];
    for (resources, words) in cases {
        let bundle = Bundle::shell("true").set("/linux/resources", resources);
        let error = bundle.run().bad();
        assert!(error.contains(words), "{error}");
        assert!(!bundle.cgroup("memory").exists());
    }
    // Linux 5.0 was the last with weights of leaves.
    let ignored = json!({"memory": {"kernel": 1048576, "useHierarchy": true, "limit": -1}, "blockIO": {"leafWeight": 10}});
    let bundle = Bundle::shell("echo up").set("/linux/resources", ignored);
    let (outcome, log) = bundle.run_logged();
    assert_eq!(outcome.good(), "up\n");
    for words in ["Kernel memory settings are ignored", "this host has no blkio.leaf_weight"] {
        assert!(log.contains(words), "{log}");
    }
}

#[test]
fn time_for_real_time_can_be_changed_with_its_period() {
    if !legacy() {
        return;
    }
    let above = fs::read_to_string("/sys/fs/cgroup/cpu/cpu.rt_runtime_us").unwrap_or_default();
    if !above.trim().parse::<i64>().is_ok_and(|time| time >= 500_000) {
        let _ = writeln!(std::io::stderr(), "skipped: no real time to share (CONFIG_RT_GROUP_SCHED)");
        return;
    }
    let bundle = Bundle::shell("sleep 1000")
        .set("/linux/resources/cpu", json!({"realtimePeriod": 1000000, "realtimeRuntime": 50000}));
    bundle.start();
    let value = |file: &str| fs::read_to_string(bundle.cgroup("cpu").join(file)).unwrap().trim().to_owned();
    assert_eq!((value("cpu.rt_period_us"), value("cpu.rt_runtime_us")), ("1000000".into(), "50000".into()));
    // More than half of the new period is left of the old time until both are set.
    bundle.command(&["update", "--cpu-rt-period", "40000", "--cpu-rt-runtime", "2000", &bundle.id]).good();
    assert_eq!((value("cpu.rt_period_us"), value("cpu.rt_runtime_us")), ("40000".into(), "2000".into()));
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
    if !legacy() {
        return;
    }
    let bundle = Bundle::shell(
        "cat /proc/self/cgroup | grep -c '^0::/$'; cat /sys/fs/cgroup/cgroup.procs | head -1; \
         (cat /dev/fuse-like | head -c 1) 2>&1 | grep -o 'not permitted'",
    )
    .set("/linux/devices", json!([{"path": "/dev/fuse-like", "type": "c", "major": 10, "minor": 229}]));
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

/// Such a host stays one when somebody mounts a hierarchy of version 1 elsewhere.
#[test]
fn version_two_is_used_whatever_is_mounted_beside_it() {
    if !legacy() {
        return;
    }
    let bundle = Bundle::shell("sleep 1000");
    bundle.write();
    let directory = bundle.directory.display();
    let run = format!(
        "mkdir {directory}/old && mount --bind /sys/fs/cgroup/freezer {directory}/old && \
         umount -R /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup || exit; \
         call() {{ {program} --root {directory}/state \"$@\"; }}; \
         call run -d -b {directory} {id} > {directory}/log 2>&1 || cat {directory}/log; \
         grep -c . /sys/fs/cgroup/barge-{id}/cgroup.procs; call kill --all {id} KILL; tries=0; \
         until call state {id} | grep stopped || [ $((tries += 1)) = 3000 ]; do sleep 0.02; done; \
         call delete --force {id}; test ! -e /sys/fs/cgroup/barge-{id} && echo gone",
        program = program().display(),
        id = bundle.id
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &run]).output().unwrap();
    assert_eq!(Outcome::of(output).good(), "1\n  \"status\": \"stopped\",\ngone\n");
}

#[test]
fn limits_can_be_changed_in_any_direction() {
    if !legacy() {
        return;
    }
    let bundle = Bundle::shell("sleep 100")
        .set("/linux/resources/memory", json!({"limit": 67108864, "swap": 134217728}))
        .set("/linux/resources/cpu", json!({"quota": 50000, "period": 100000}));
    bundle.start();
    let cgroup = Cgroup::open(format!("/barge-{}", bundle.id)).unwrap();
    let change =
        |json: serde_json::Value| cgroup.update(&serde_json::from_value::<LinuxResources>(json).unwrap());
    let value = |controller: &str, file: &str| {
        fs::read_to_string(bundle.cgroup(controller).join(file)).unwrap().trim().parse::<i64>().unwrap()
    };
    let memory =
        || (value("memory", "memory.limit_in_bytes"), value("memory", "memory.memsw.limit_in_bytes"));
    change(json!({"memory": {"limit": 268435456, "swap": 536870912}})).unwrap();
    assert_eq!(memory(), (268435456, 536870912));
    change(json!({"memory": {"limit": 33554432, "swap": 67108864}})).unwrap();
    assert_eq!(memory(), (33554432, 67108864));
    assert!(
        change(json!({"memory": {"limit": 268435456}})).is_err(),
        "above the swap limit, which nobody named"
    );
    assert_eq!(memory(), (33554432, 67108864));
    change(json!({"cpu": {"quota": 2000, "period": 4000}})).unwrap();
    assert_eq!((value("cpu", "cpu.cfs_quota_us"), value("cpu", "cpu.cfs_period_us")), (2000, 4000));
}

#[test]
fn a_frozen_container_stands_still_and_can_be_killed() {
    let bundle = Bundle::shell("while true; do echo x; sleep 0.01; done");
    bundle.start();
    let cgroup = Cgroup::open(format!("/barge-{}", bundle.id)).unwrap();
    let length = || bundle.output().len();
    cgroup.freeze().unwrap();
    assert!(cgroup.is_frozen());
    let before = length();
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(length(), before);
    let state = bundle.command(&["state", &bundle.id]).good();
    assert!(state.contains(r#""status": "paused""#), "{state}");
    cgroup.thaw().unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while length() == before {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(10));
    }
    let stats = cgroup.stats();
    assert!(stats.pids >= 1 && stats.memory_usage > 0 && stats.cpu_total > 0, "{stats:?}");
    cgroup.freeze().unwrap();
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert!(!bundle.cgroup("freezer").exists());
}
