//! The verbs `update`, `pause`, `resume`, `events` and `ps`, on hosts of either version.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bundle::Bundle;

/// A limit as the kernel has it: the file's name in version 1 with its controller, and that in version 2.
fn limit(bundle: &Bundle, v1: (&str, &str), v2: &str) -> String {
    let legacy = bundle.cgroup(v1.0).join(v1.1);
    fs::read_to_string(&legacy)
        .or_else(|_| fs::read_to_string(bundle.cgroup("").join(v2)))
        .unwrap()
        .trim()
        .into()
}

const MEMORY: (&str, &str) = ("memory", "memory.limit_in_bytes");

#[test]
fn update_changes_what_is_named_and_nothing_else() {
    let bundle = Bundle::shell("sleep 1000").set(
        "/linux/resources",
        json!({"memory": {"limit": 67108864, "swap": 67108864}, "pids": {"limit": 40}}),
    );
    bundle.start();
    let update = |flags: &[&str]| {
        let all: Vec<&str> = ["update"].iter().chain(flags).chain([&bundle.id.as_str()]).copied().collect();
        bundle.command(&all)
    };
    let memory = || limit(&bundle, MEMORY, "memory.max");
    let pids = || limit(&bundle, ("pids", "pids.max"), "pids.max");
    update(&["--memory", "128m", "--memory-swap", "256MiB"]).good();
    assert_eq!((memory(), pids()), ("134217728".into(), "40".into()));
    update(&["--pids-limit", "20"]).good();
    assert_eq!((memory(), pids()), ("134217728".into(), "20".into()));
    // The memory limit that goes with the new swap limit is the one of the first update.
    update(&["--memory-swap", "512m"]).good();
    assert_eq!(memory(), "134217728");
    let file = bundle.directory.join("resources.json");
    fs::write(&file, r#"{"memory": {"limit": 33554432, "swap": 33554432}, "pids": {"limit": -1}}"#).unwrap();
    update(&["--resources", file.to_str().unwrap(), "--pids-limit", "7"]).good();
    assert_eq!((memory(), pids()), ("33554432".into(), "max".into()), "flags are ignored beside a file");
    assert!(update(&["--memory", "much"]).bad().contains("invalid value for memory"));
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert!(update(&["--pids-limit", "20"]).bad().contains("does not exist"));
}

const SWAP: (&str, &str) = ("memory", "memory.memsw.limit_in_bytes");

#[test]
fn an_update_that_fails_names_the_file_and_changes_nothing() {
    let bundle = Bundle::shell("sleep 1000").set(
        "/linux/resources",
        json!({"memory": {"limit": 67108864, "swap": 67108864}, "cpu": {"quota": 50000, "period": 100000}}),
    );
    bundle.start();
    let limits = || {
        let quota = limit(&bundle, ("cpu", "cpu.cfs_quota_us"), "cpu.max");
        (limit(&bundle, MEMORY, "memory.max"), limit(&bundle, SWAP, "memory.swap.max"), quota)
    };
    let before = limits();
    let flags =
        ["--memory", "128m", "--memory-swap", "256m", "--cpu-quota", "20000", "--cpuset-cpus", "9999"];
    let update: Vec<&str> = ["update"].iter().chain(&flags).chain([&bundle.id.as_str()]).copied().collect();
    let error = bundle.command(&update).bad();
    assert!(error.contains(r#"cpuset.cpus": write "9999": "#), "{error}");
    assert_eq!(limits(), before);
    // Nor is it on record: the memory limit that belongs to this swap limit is the old one.
    let error = bundle.command(&["update", "--memory-swap", "32m", &bundle.id]).bad();
    assert!(error.contains("memory.memsw.limit_in_bytes") || error.contains("should be >="), "{error}");
    assert_eq!(limits(), before);
}

#[test]
fn who_is_no_longer_idle_gets_a_weight() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let update = |flags: &[&str]| {
        let all: Vec<&str> = ["update"].iter().chain(flags).chain([&bundle.id.as_str()]).copied().collect();
        bundle.command(&all)
    };
    let idle = update(&["--cpu-idle", "1"]);
    if idle.stderr.contains("is not available on this host") {
        let _ = writeln!(std::io::stderr(), "skipped: needs cpu.idle (Linux 5.15)");
        return;
    }
    idle.good();
    // The kernel refuses it.
    assert!(update(&["--cpu-share", "512"]).bad().contains("invalid argument"));
    update(&["--cpu-idle", "0", "--cpu-share", "512"]).good();
    let weight = limit(&bundle, ("cpu", "cpu.shares"), "cpu.weight");
    assert!(weight == "512" || weight == "59", "{weight}");
}

#[test]
fn no_limit_on_memory_is_none_on_swap() {
    let bundle = Bundle::shell("sleep 1000")
        .set("/linux/resources/memory", json!({"limit": 67108864, "swap": 67108864}));
    bundle.start();
    let told = bundle.command(&["update", "--memory", "-1", "--kernel-memory", "1m", &bundle.id]);
    assert!(told.stderr.contains("Kernel memory settings are ignored"), "{told:?}");
    told.good();
    for limit in [limit(&bundle, MEMORY, "memory.max"), limit(&bundle, SWAP, "memory.swap.max")] {
        assert!(limit == "max" || limit.parse::<u64>().unwrap() > 1 << 60, "{limit}");
    }
}

/// The numbers of a disk that this host has, as `8:0`.
fn disk() -> Option<String> {
    let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let used = |path: &PathBuf| fs::read_to_string(path.join("size")).is_ok_and(|size| size.trim() != "0");
    let mut disks = entries.map(|entry| entry.path()).filter(used);
    disks.find_map(|disk| Some(fs::read_to_string(disk.join("dev")).ok()?.trim().to_owned()))
}

#[test]
fn disks_are_read_and_written_as_fast_as_allowed() {
    let Some(disk) = disk() else {
        let _ = writeln!(std::io::stderr(), "skipped: needs a disk");
        return;
    };
    let (major, minor) = disk.split_once(':').unwrap();
    let device = |rate: u64| json!([{"major": major.parse::<u32>().unwrap(), "minor": minor.parse::<u32>().unwrap(), "rate": rate}]);
    let bundle = Bundle::shell("sleep 1000").set(
        "/linux/resources/blockIO",
        json!({"throttleReadBpsDevice": device(1048576), "throttleWriteIOPSDevice": device(100)}),
    );
    bundle.start();
    let limits = || {
        let of = |v1: &str| limit(&bundle, ("blkio", v1), "io.max");
        (of("blkio.throttle.read_bps_device"), of("blkio.throttle.write_iops_device"))
    };
    let line = |reads: u64, writes: u64| match bundle.cgroup("blkio").join("io.max").exists() {
        true => {
            let line = format!("{disk} rbps={reads} wbps=max riops=max wiops={writes}");
            (line.clone(), line)
        }
        false => (format!("{disk} {reads}"), format!("{disk} {writes}")),
    };
    assert_eq!(limits(), line(1048576, 100));
    let file = bundle.directory.join("resources.json");
    fs::write(&file, json!({"blockIO": {"throttleReadBpsDevice": device(2097152)}}).to_string()).unwrap();
    bundle.command(&["update", "--resources", file.to_str().unwrap(), &bundle.id]).good();
    assert_eq!(limits(), line(2097152, 100));
}

/// Groups above a container's that were not there: on version 1 they have no processors until they are given some, on
/// version 2 no controllers.
#[test]
fn processors_are_chosen_in_nested_groups() {
    let bundle = Bundle::shell("grep _allowed_list /proc/self/status; sleep 1000");
    let bundle = bundle.set("/linux/resources/cpu", json!({"cpus": "0", "mems": "0"}));
    let path = format!("/barge-{}/middle/leaf", bundle.id);
    let bundle = bundle.set("/linux/cgroupsPath", json!(path));
    bundle.start();
    let leaf = bundle.cgroup("cpuset").join("middle/leaf");
    let cpus = fs::read_to_string(leaf.join("cpuset.cpus"));
    let seen = bundle.exec(&["grep", "Cpus_allowed_list", "/proc/self/status"]).stdout;
    bundle.command(&["delete", "--force", &bundle.id]).good();
    let left = leaf.exists();
    for hierarchy in fs::read_dir("/sys/fs/cgroup")
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .chain(["/sys/fs/cgroup".into()])
    {
        let above = hierarchy.join(format!("barge-{}", bundle.id));
        for group in [above.join("middle"), above] {
            let _ = fs::remove_dir(group);
        }
    }
    assert!(!left);
    assert_eq!(cpus.unwrap().trim(), "0");
    assert_eq!(seen.split_whitespace().last(), Some("0"), "{seen}");
}

#[test]
fn update_reads_standard_input() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let mut command = bundle.runtime(&["update", "-r", "-", &bundle.id]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(br#"{"pids": {"limit": 33}}"#).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(limit(&bundle, ("pids", "pids.max"), "pids.max"), "33");
}

#[test]
fn a_container_is_paused_and_resumed() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let command = |verb: &str| bundle.command(&[verb, &bundle.id]);
    assert!(command("resume").bad().contains("container not paused"));
    command("pause").good();
    assert!(command("state").good().contains(r#""status": "paused""#));
    assert!(bundle.command(&["list"]).good().contains("paused"));
    assert!(command("pause").bad().contains("container not running"));
    let refused = bundle.exec(&["true"]).bad();
    assert!(
        refused.contains("cannot exec in a paused container (use --ignore-paused to override)"),
        "{refused}"
    );
    command("resume").good();
    assert!(command("state").good().contains(r#""status": "running""#));
    assert_eq!(bundle.exec(&["echo", "up"]).good(), "up\n");
    command("pause").good();
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert!(command("pause").bad().contains("does not exist"));
}

#[test]
fn a_paused_container_can_be_killed() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let command = |verb: &str| bundle.command(&[verb, &bundle.id]);
    command("pause").good();
    bundle.command(&["kill", &bundle.id, "KILL"]).good();
    let deadline = Instant::now() + Duration::from_secs(120);
    while !command("state").good().contains(r#""status": "stopped""#) {
        assert!(Instant::now() < deadline, "{}", command("state").stdout);
        std::thread::sleep(Duration::from_millis(10));
    }
    command("delete").good();
}

#[test]
fn ps_shows_the_containers_processes() {
    let bundle = Bundle::shell("sleep 1000");
    let pid = bundle.start();
    let pids: Vec<i32> =
        serde_json::from_str(&bundle.command(&["ps", "-f", "json", &bundle.id]).good()).unwrap();
    assert!(pids.contains(&pid), "{pids:?}");
    if !Command::new("ps").arg("-ef").output().is_ok_and(|output| output.status.success()) {
        let _ = writeln!(std::io::stderr(), "skipped: tables need the ps of procps");
        return;
    }
    for options in [&[][..], &["-e", "-o", "pid,comm"]] {
        let all: Vec<&str> = ["ps", &bundle.id].iter().chain(options).copied().collect();
        let table = bundle.command(&all).good();
        assert!(table.lines().next().unwrap().contains("PID"), "{table}");
        assert_eq!(table.lines().count(), pids.len() + 1, "{table}");
        assert!(table.contains(&pid.to_string()), "{table}");
    }
}

#[test]
fn an_init_without_the_memory_to_begin_is_told_of() {
    let bundle = Bundle::shell("true").set("/linux/resources/memory", json!({"limit": 1000}));
    let refused = bundle.run().bad();
    assert!(refused.contains("container init was OOM-killed (memory limit too low?)"), "{refused}");
    assert!(!bundle.cgroup("memory").exists(), "nothing stays");
}

#[test]
fn events_tell_the_use_and_the_want_of_memory() {
    let bundle = Bundle::shell("until test -e /go; do sleep 0.1; done; tail -c 200m /dev/zero; sleep 1000")
        .set("/linux/resources/memory", json!({"limit": 16777216, "swap": 16777216}));
    bundle.start();
    let once: Value =
        serde_json::from_str(&bundle.command(&["events", "--stats", &bundle.id]).good()).unwrap();
    assert_eq!((&once["type"], &once["id"]), (&json!("stats"), &json!(bundle.id)));
    assert_eq!(once["data"]["memory"]["usage"]["limit"], 16777216);
    assert!(once["data"]["pids"]["current"].as_u64().unwrap() >= 1, "{once}");
    // What runc says on every host, and that it is not nothing.
    for pointer in [
        "/cpu/usage/total",
        "/memory/usage/usage",
        "/memory/raw/inactive_file",
        "/cpu/usage/kernel",
        "/cpu/usage/user",
    ] {
        assert!(once["data"].pointer(pointer).is_some_and(Value::is_u64), "{pointer}: {once}");
    }
    for pointer in ["/cpuset/cpu_exclusive", "/blkio", "/hugetlb", "/intel_rdt", "/network_interfaces"] {
        assert!(once["data"].pointer(pointer).is_some(), "{pointer}: {once}");
    }
    let mut command = bundle.runtime(&["events", "--interval", "50ms", &bundle.id]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    // It watches before it prints.
    assert!(lines.next().unwrap().contains(r#""type":"stats""#));
    fs::write(bundle.rootfs().join("go"), "").unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let told =
        lines.by_ref().take_while(|_| Instant::now() < deadline).any(|line| line.contains(r#""type":"oom""#));
    bundle.command(&["kill", &bundle.id, "KILL"]).good();
    lines.for_each(drop);
    assert!(child.wait().unwrap().success(), "it ends with the container");
    assert!(told);
    assert!(bundle.command(&["events", &bundle.id]).bad().contains("is not running"));
    assert!(bundle.command(&["events", "--interval", "0s", &bundle.id]).bad().contains("greater than 0"));
}
