//! Cgroups made by systemd, on hosts that it runs, as the guest of `cargo xtask guest --systemd` is.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::bundle::{Bundle, Outcome};
use crate::checkpoint;

/// Whether systemd runs this host; says so when a test can't run. Not captured, so that it is always seen.
pub(crate) fn booted() -> bool {
    let there = Path::new("/run/systemd/system").exists();
    if !there {
        let _ = writeln!(std::io::stderr(), "skipped: needs systemd (cargo xtask guest --systemd)");
    }
    there
}

fn scoped(script: &str) -> Bundle {
    in_scope(Bundle::shell(script))
}

/// The bundle with a scope of its own.
pub(crate) fn in_scope(bundle: Bundle) -> Bundle {
    let path = format!("barge-test.slice:it:{}", bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path))
}

fn unit(bundle: &Bundle) -> String {
    format!("it-{}.scope", bundle.id)
}

pub(crate) fn directory(bundle: &Bundle) -> PathBuf {
    Path::new("/sys/fs/cgroup/barge.slice/barge-test.slice").join(unit(bundle))
}

pub(crate) fn value(bundle: &Bundle, file: &str) -> String {
    fs::read_to_string(directory(bundle).join(file))
        .unwrap_or_else(|error| format!("{file}: {error}"))
        .trim()
        .into()
}

fn start(bundle: &Bundle) {
    bundle.write();
    let output = fs::File::create(bundle.directory.join("output")).unwrap();
    let mut command = bundle.runtime(&["--systemd-cgroup", "run", "--detach", "--bundle"]);
    command.arg(&bundle.directory).arg(&bundle.id);
    command.stdout(output.try_clone().unwrap()).stderr(output);
    assert!(command.status().unwrap().success(), "{}", bundle.output());
}

fn run(bundle: &Bundle) -> Outcome {
    bundle.write();
    bundle.command(&["--systemd-cgroup", "run", "--bundle", bundle.directory.to_str().unwrap(), &bundle.id])
}

/// One property of a unit, as systemd prints it.
fn property(bundle: &Bundle, name: &str) -> String {
    let unit = unit(bundle);
    let output = Command::new("systemctl").args(["show", "--value", "-p", name, &unit]).output().unwrap();
    Outcome::of(output).good().trim().into()
}

fn assert_gone(bundle: &Bundle) {
    assert!(!directory(bundle).exists());
    assert_eq!(property(bundle, "LoadState"), "not-found");
}

#[test]
fn a_host_without_systemd_is_told_so() {
    if Path::new("/run/systemd/system").exists() {
        return;
    }
    let error = run(&scoped("true")).bad();
    assert!(
        error.contains("systemd not running on this host, cannot use systemd cgroups manager"),
        "{error}"
    );
}

#[test]
fn a_scope_has_the_limits_in_its_files_and_in_its_properties() {
    if !booted() {
        return;
    }
    let bundle = scoped("sleep 1000").set(
        "/linux/resources",
        json!({
            "memory": {"limit": 67108864, "swap": 134217728, "reservation": 33554432},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000, "burst": 10000, "cpus": "0"},
            "pids": {"limit": 50},
            "unified": {"memory.high": "50331648"}
        }),
    );
    start(&bundle);
    for (file, expected) in [
        ("memory.max", "67108864"),
        ("memory.swap.max", "67108864"),
        ("memory.low", "33554432"),
        ("memory.high", "50331648"),
        ("cpu.weight", "59"),
        ("cpu.max", "50000 100000"),
        ("cpu.max.burst", "10000"),
        ("cpuset.cpus", "0"),
        ("pids.max", "50"),
    ] {
        assert_eq!(value(&bundle, file), expected, "{file}");
    }
    for (name, expected) in [
        ("MemoryMax", "67108864"),
        ("MemorySwapMax", "67108864"),
        ("MemoryLow", "33554432"),
        ("MemoryHigh", "50331648"),
        ("CPUWeight", "59"),
        ("CPUQuotaPerSecUSec", "500ms"),
        ("AllowedCPUs", "0"),
        ("TasksMax", "50"),
        ("Delegate", "yes"),
        ("Slice", "barge-test.slice"),
        ("ActiveState", "active"),
    ] {
        assert_eq!(property(&bundle, name), expected, "{name}");
    }
    // The placeholder has left.
    assert_eq!(value(&bundle, "cgroup.procs").lines().count(), 1);
    let inside = bundle.exec(&["cat", "/proc/self/cgroup"]).good();
    assert!(inside.ends_with(&format!("/barge.slice/barge-test.slice/{}\n", unit(&bundle))), "{inside}");
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert_gone(&bundle);
}

#[test]
fn a_container_that_was_saved_comes_back_into_a_scope() {
    if !booted() || !checkpoint::usable() {
        return;
    }
    let bundle = scoped(checkpoint::COUNT).set("/linux/resources/pids", json!({"limit": 50}));
    start(&bundle);
    checkpoint::counts_beyond(&bundle, 2);
    checkpoint::checkpoint(&bundle, &[]).good();
    assert_gone(&bundle);
    let stood = checkpoint::count(&bundle);
    checkpoint::restore_with(&bundle, &["--systemd-cgroup"], &bundle.id, &[]).good();
    checkpoint::counts_beyond(&bundle, stood);
    let pid = checkpoint::state(&bundle, &bundle.id)["pid"].to_string();
    assert!(value(&bundle, "cgroup.procs").lines().any(|line| line == pid));
    assert_eq!(property(&bundle, "TasksMax"), "50");
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert_gone(&bundle);
    fs::remove_file(checkpoint::images(&bundle).join("pstree.img")).unwrap();
    checkpoint::restore_with(&bundle, &["--systemd-cgroup"], &bundle.id, &[]).bad();
    assert_gone(&bundle);
}

#[test]
fn systemd_hears_of_other_limits() {
    if !booted() {
        return;
    }
    let bundle = scoped("sleep 1000").set("/linux/resources/pids", json!({"limit": 50}));
    start(&bundle);
    bundle
        .command(&["update", "--memory", "64m", "--pids-limit", "40", "--cpu-quota", "12345", &bundle.id])
        .good();
    let files = || ["memory.max", "pids.max", "cpu.max"].map(|file| value(&bundle, file));
    // A whole percent of a processor.
    let expected = ["67108864", "40", "13000 100000"];
    assert_eq!(files(), expected);
    assert_eq!(property(&bundle, "MemoryMax"), "67108864");
    assert_eq!(property(&bundle, "TasksMax"), "40");
    // What systemd writes when it starts afresh is what was there.
    Outcome::of(Command::new("systemctl").arg("daemon-reload").output().unwrap()).good();
    assert_eq!(files(), expected);
    bundle.command(&["pause", &bundle.id]).good();
    assert!(bundle.command(&["state", &bundle.id]).good().contains("paused"));
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert_gone(&bundle);
}

#[test]
fn annotations_are_properties() {
    if !booted() {
        return;
    }
    let bundle = scoped("sleep 1000").set(
        "/annotations",
        json!({
            "org.systemd.property.TimeoutStopSec": "uint64 7",
            "org.systemd.property.Description": "'a test'",
            "org.systemd.property.MemoryMax": "uint64 99999744"
        }),
    );
    start(&bundle);
    for (name, expected) in [("TimeoutStopUSec", "7s"), ("Description", "a test"), ("MemoryMax", "99999744")]
    {
        assert_eq!(property(&bundle, name), expected, "{name}");
    }
    let wrong = scoped("true").set("/annotations", json!({"org.systemd.property.NoSuchProperty": "1"}));
    let error = run(&wrong).bad();
    assert!(error.contains("unable to start unit") && error.contains("NoSuchProperty"), "{error}");
    assert_gone(&wrong);
}

#[test]
fn what_ends_or_fails_leaves_no_unit() {
    if !booted() {
        return;
    }
    let bundle = scoped("echo inside; exit 7");
    for _ in 0..2 {
        let outcome = run(&bundle);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (7, "inside\n"), "{outcome:?}");
        assert_gone(&bundle);
    }
    let missing = scoped("true").set("/process/args", json!(["/no/such/program"]));
    assert!(run(&missing).bad().contains("no such file"));
    assert_gone(&missing);
    let unlimited = scoped("true").set("/linux/resources/unified", json!({"no.such": "1"}));
    assert!(run(&unlimited).bad().contains("no.such"));
    assert_gone(&unlimited);
    let direct = scoped("true").set("/linux/cgroupsPath", json!("/a/path"));
    assert!(run(&direct).bad().contains("expected cgroupsPath to be of format"));
}

#[test]
fn a_killed_container_can_be_deleted_and_made_again() {
    if !booted() {
        return;
    }
    let bundle = scoped("sleep 1000 & trap '' TERM; wait");
    for _ in 0..2 {
        start(&bundle);
        bundle.command(&["kill", &bundle.id, "KILL"]).good();
        bundle.command(&["delete", "--force", &bundle.id]).good();
        assert_gone(&bundle);
    }
}

#[test]
fn device_rules_hold_in_a_scope() {
    if !booted() {
        return;
    }
    let script = "head -c 1 /dev/zero | wc -c; mknod /dev/other c 1 5 && (head -c 1 /dev/other | wc -c); \
                  mknod /dev/memory c 1 1; (head -c 1 /dev/memory) 2>&1 | grep -o 'not permitted'";
    let bundle = scoped(script);
    assert_eq!(run(&bundle).good(), "1\n1\nnot permitted\n");
    // With a rule that forbids, which systemd's own list can't say.
    let bundle = scoped(script).set(
        "/linux/resources/devices",
        json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "access": "rwm"},
            {"allow": false, "type": "c", "major": 1, "minor": 1, "access": "rw"}
        ]),
    );
    assert_eq!(run(&bundle).good(), "1\n1\nnot permitted\n");
    // Without any, which does not mean that all is allowed.
    let mut bundle = scoped(script);
    bundle.spec["linux"].as_object_mut().unwrap().remove("resources");
    assert_eq!(run(&bundle).good(), "1\n1\nnot permitted\n");
    let privileged = scoped("mknod /dev/zeroes c 1 5 && head -c 1 /dev/zeroes | wc -c")
        .set("/linux/resources/devices", json!([{"allow": true, "access": "rwm"}]));
    assert_eq!(run(&privileged).good(), "1\n");
}

/// The manager listens without a bus too.
#[test]
fn no_bus_is_needed() {
    if !booted() {
        return;
    }
    // More than once: whether a handshake ends before the first message is read is a matter of luck.
    for _ in 0..8 {
        let bundle = scoped("echo up");
        bundle.write();
        let mut command = bundle.runtime(&["--systemd-cgroup", "run", "--bundle"]);
        command.arg(&bundle.directory).arg(&bundle.id);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/no/such/socket");
        assert_eq!(Outcome::of(command.output().unwrap()).good(), "up\n");
        assert_gone(&bundle);
    }
}
