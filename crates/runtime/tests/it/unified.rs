//! Hosts with version 2 alone and all its controllers, as the guest of `cargo xtask guest` is.

use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use barge_oci::runtime_spec::LinuxResources;
use barge_runtime::Cgroup;
use serde_json::{Value, json};

use crate::bundle::Bundle;

/// Whether this host has version 2 alone; says so when a test can't run. Not captured, so that it is always seen.
fn unified() -> bool {
    let controllers = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let there = ["cpu", "memory", "pids"].iter().all(|name| controllers.contains(name));
    if !there {
        let _ = writeln!(std::io::stderr(), "skipped: needs cgroup v2 with controllers (cargo xtask guest)");
    }
    there
}

fn value(bundle: &Bundle, file: &str) -> String {
    fs::read_to_string(bundle.cgroup("").join(file))
        .unwrap_or_else(|error| format!("{file}: {error}"))
        .trim()
        .into()
}

#[test]
fn every_limit_is_in_its_file() {
    if !unified() {
        return;
    }
    let bundle = Bundle::shell("sleep 1000").set(
        "/linux/resources",
        json!({
            "memory": {"limit": 67108864, "swap": 134217728, "reservation": 33554432},
            "cpu": {"shares": 512, "quota": 50000, "period": 100000, "burst": 10000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 50},
            "blockIO": {"weight": 300},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
            "unified": {"memory.high": "50331648"}
        }),
    );
    bundle.start();
    for (file, expected) in [
        ("memory.max", "67108864"),
        ("memory.swap.max", "67108864"),
        ("memory.low", "33554432"),
        ("memory.high", "50331648"),
        ("cpu.weight", "59"),
        ("cpu.max", "50000 100000"),
        ("cpu.max.burst", "10000"),
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
        ("pids.max", "50"),
        ("hugetlb.2MB.max", "4194304"),
    ] {
        assert_eq!(value(&bundle, file), expected, "{file}");
    }
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert!(!bundle.cgroup("").exists());
}

#[test]
fn an_idle_group_is_idle() {
    if !unified() {
        return;
    }
    let bundle = Bundle::shell("sleep 1000").set("/linux/resources", json!({"cpu": {"idle": 1}}));
    bundle.start();
    assert_eq!(value(&bundle, "cpu.idle"), "1");
}

#[test]
fn memory_above_the_limit_is_an_oom_kill() {
    if !unified() {
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
    if !unified() {
        return;
    }
    let bundle = Bundle::shell("sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait")
        .set("/linux/resources/pids", json!({"limit": 3}));
    assert!(bundle.run().stderr.contains("can't fork"));
}

#[test]
fn limits_can_be_changed_in_any_direction() {
    if !unified() {
        return;
    }
    let bundle = Bundle::shell("sleep 1000")
        .set("/linux/resources/memory", json!({"limit": 67108864, "swap": 134217728}))
        .set("/linux/resources/cpu", json!({"quota": 50000, "period": 100000}));
    bundle.start();
    let cgroup = Cgroup::open(format!("/barge-{}", bundle.id)).unwrap();
    let change =
        |json: Value| cgroup.update(&serde_json::from_value::<LinuxResources>(json).unwrap()).unwrap();
    let memory = || (value(&bundle, "memory.max"), value(&bundle, "memory.swap.max"));
    change(json!({"memory": {"limit": 268435456, "swap": 536870912}}));
    assert_eq!(memory(), ("268435456".into(), "268435456".into()));
    change(json!({"memory": {"limit": 33554432, "swap": 33554432}}));
    assert_eq!(memory(), ("33554432".into(), "0".into()));
    change(json!({"memory": {"limit": -1, "swap": -1}}));
    assert_eq!(memory(), ("max".into(), "max".into()));
    change(json!({"cpu": {"quota": 2000, "period": 4000}}));
    assert_eq!(value(&bundle, "cpu.max"), "2000 4000");
    change(json!({"cpu": {"quota": -1}}));
    assert_eq!(value(&bundle, "cpu.max"), "max 4000");
    assert!(cgroup.update(&serde_json::from_value(json!({"unified": {"no.such": "1"}})).unwrap()).is_err());
}

#[test]
fn what_can_not_be_set_is_named() {
    if !unified() {
        return;
    }
    let cases = [
        (
            json!({"unified": {"no.such": "1"}}),
            r#"unified resource "no.such" can't be set: controller "no" not available"#,
        ),
        (json!({"unified": {"a/b": "1"}}), r#"unified resource "a/b" must be a file name (no slashes)"#),
        (json!({"unified": {"memory": "1"}}), "must be in the form CONTROLLER.PARAMETER"),
        (json!({"memory": {"limit": 1048576, "swap": 4096}}), "memory+swap limit should be >= memory limit"),
    ];
    for (resources, words) in cases {
        let bundle = Bundle::shell("true").set("/linux/resources", resources);
        let error = bundle.run().bad();
        assert!(error.contains(words), "{error}");
        assert!(!bundle.cgroup("").exists());
    }
    let ignored = Bundle::shell("echo up").set(
        "/linux/resources",
        json!({"memory": {"swappiness": 50, "kernel": 1048576}, "cpu": {"realtimePeriod": 1000}, "pids": {"limit": -1}}),
    );
    let (outcome, log) = ignored.run_logged();
    assert_eq!(outcome.good(), "up\n");
    for words in [
        "memory.swappiness is ignored",
        "Kernel memory settings are ignored",
        "cpu.realtimePeriod is ignored",
    ] {
        assert!(log.contains(words), "{log}");
    }
}

#[test]
fn a_limit_below_the_use_is_rejected_where_that_is_asked_for() {
    if !unified() {
        return;
    }
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let file = bundle.directory.join("resources.json");
    let update = |limit: i64, check: bool| {
        let memory = json!({"limit": limit, "swap": limit, "checkBeforeUpdate": check});
        fs::write(&file, json!({"memory": memory}).to_string()).unwrap();
        bundle.command(&["update", "--resources", file.to_str().unwrap(), &bundle.id])
    };
    let error = update(4096, true).bad();
    assert!(error.contains("rejecting memory+swap limit 4096 <= usage"), "{error}");
    assert_eq!(value(&bundle, "memory.max"), "max");
    update(67108864, true).good();
    assert_eq!(value(&bundle, "memory.max"), "67108864");
}

#[test]
fn a_quota_below_what_is_saved_up_can_be_set_with_less_to_save() {
    if !unified() {
        return;
    }
    let bundle = Bundle::shell("sleep 1000")
        .set("/linux/resources", json!({"cpu": {"quota": 50000, "period": 100000, "burst": 40000}}));
    bundle.start();
    bundle.command(&["update", "--cpu-quota", "20000", "--cpu-burst", "10000", &bundle.id]).good();
    assert_eq!(
        (value(&bundle, "cpu.max"), value(&bundle, "cpu.max.burst")),
        ("20000 100000".into(), "10000".into())
    );
}

/// Groups that the specification puts below new ones get their controllers from the root on.
#[test]
fn controllers_are_handed_down_to_nested_groups() {
    if !unified() {
        return;
    }
    let bundle = Bundle::shell("sleep 1000");
    let path = format!("/barge-{}/middle/leaf", bundle.id);
    let bundle = bundle
        .set("/linux/cgroupsPath", json!(path))
        .set("/linux/resources", json!({"unified": {"memory.high": "50331648"}}));
    bundle.start();
    let leaf = bundle.cgroup("").join("middle/leaf");
    assert_eq!(fs::read_to_string(leaf.join("memory.high")).unwrap().trim(), "50331648");
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert!(!leaf.exists());
    // A group that hands controllers down takes no processes.
    fs::create_dir_all(&leaf).unwrap();
    let between =
        Bundle::shell("true").set("/linux/cgroupsPath", json!(format!("/barge-{}/middle", bundle.id)));
    let error = between.run().bad();
    for group in [&leaf, leaf.parent().unwrap(), &bundle.cgroup("")] {
        let _ = fs::remove_dir(group);
    }
    assert!(error.contains("busy"), "{error}");
    assert!(!bundle.cgroup("").exists());
}

#[test]
fn events_tell_pressure_and_the_rest_in_the_shape_of_version_one() {
    if !unified() {
        return;
    }
    let bundle = Bundle::shell("sleep 1000").set(
        "/linux/resources",
        json!({"memory": {"limit": 67108864, "swap": 134217728}, "pids": {"limit": 50}}),
    );
    bundle.start();
    let reading = bundle.command(&["events", "--stats", &bundle.id]).good();
    let data = serde_json::from_str::<Value>(&reading).unwrap()["data"].take();
    assert_eq!(data["memory"]["usage"]["limit"], 67108864, "{data}");
    assert_eq!(data["memory"]["swap"]["limit"], 134217728, "both together: {data}");
    assert_eq!(data["pids"]["limit"], 50, "{data}");
    assert!(data["memory"]["raw"]["anon"].is_u64(), "{data}");
    for (part, file) in [("cpu", "cpu.pressure"), ("memory", "memory.pressure"), ("blkio", "io.pressure")] {
        let counted = fs::read_to_string(bundle.cgroup("").join(file)).is_ok();
        assert_eq!(data[part]["psi"]["some"]["avg10"].is_number(), counted, "{part}: {data}");
    }
    if bundle.cgroup("").join("hugetlb.2MB.current").exists() {
        assert_eq!(data["hugetlb"]["2MB"]["failcnt"], 0, "{data}");
    }
}

/// The rules of a container that may write what its program tells it to: others stay shut.
#[test]
fn device_rules_are_a_program() {
    if !unified() {
        return;
    }
    let bundle = Bundle::shell(
        "head -c 1 /dev/full | wc -c; (head -c 1 /dev/mem | wc -c) 2>&1 | grep -o 'not permitted'; \
         (mknod /dev/other c 1 5 && head -c 1 /dev/other | wc -c)",
    )
    .set(
        "/linux/resources/devices",
        json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 1, "access": "rwm"},
            {"allow": false, "type": "c", "major": 1, "minor": 1, "access": "rw"}
        ]),
    )
    .set("/linux/devices", json!([{"path": "/dev/mem", "type": "c", "major": 1, "minor": 1}]));
    assert_eq!(bundle.run().good(), "1\nnot permitted\n1\n");
}

/// The container makes cgroups in its own, with processes in them, and leaves them behind.
#[test]
fn a_tree_below_the_cgroup_is_removed_with_it() {
    if !unified() {
        return;
    }
    let mut bundle = Bundle::shell(
        "cd /sys/fs/cgroup && mkdir -p a/b c && (echo 0 > a/b/cgroup.procs; sleep 1000 & \
         echo 0 > c/cgroup.procs; sleep 1000 & echo up; wait)",
    );
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
    for mount in bundle.spec["mounts"].as_array_mut().unwrap() {
        if mount["type"] == "cgroup" {
            mount["options"] = json!(["rw", "nosuid", "noexec", "nodev"]);
        }
    }
    bundle.start();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !bundle.output().contains("up") {
        assert!(Instant::now() < deadline, "{}", bundle.output());
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(bundle.cgroup("").join("a/b").exists());
    Cgroup::open(format!("/barge-{}", bundle.id)).unwrap().freeze().unwrap();
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert!(!bundle.cgroup("").exists());
}

/// The guest loads this profile, which forbids one file.
#[test]
fn an_apparmor_profile_rules() {
    let profiles = fs::read_to_string("/sys/kernel/security/apparmor/profiles").unwrap_or_default();
    if !profiles.contains("barge-test ") {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: needs AppArmor with the guest's profile (cargo xtask guest)"
        );
        return;
    }
    let bundle = Bundle::shell(
        "cat /proc/self/attr/current; cat /etc/passwd | head -c 4; (cat /etc/forbidden) 2>&1 | grep -o denied",
    )
    .set("/process/apparmorProfile", json!("barge-test"));
    fs::write(bundle.rootfs().join("etc/forbidden"), "x").unwrap();
    assert_eq!(bundle.run().good(), "barge-test (enforce)\nrootdenied\n");
    let missing = bundle.set("/process/apparmorProfile", json!("barge-no-such"));
    let error = missing.run().bad();
    assert!(error.contains("AppArmor"), "{error}");
}

/// Who owns a file of the container's cgroup.
fn owner(bundle: &Bundle, file: &str) -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata(bundle.cgroup("").join(file)).unwrap())
}

#[test]
fn a_container_owns_the_cgroup_that_it_sees_as_its_own() {
    if !unified() {
        return;
    }
    let with = |access: &str, uid: u32| {
        let mut bundle = Bundle::shell("mkdir /sys/fs/cgroup/below && echo made; sleep 1000");
        let namespaces = bundle.spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.extend([json!({"type": "cgroup"}), json!({"type": "user"})]);
        let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
        let mounts = bundle.spec["mounts"].as_array_mut().unwrap();
        let view = mounts.iter_mut().find(|mount| mount["destination"] == "/sys/fs/cgroup").unwrap();
        view["options"] = json!([access, "nosuid", "noexec", "nodev"]);
        bundle
            .set("/linux/uidMappings", map.clone())
            .set("/linux/gidMappings", map)
            .set("/process/user", json!({"uid": uid, "gid": 0}))
    };
    for uid in [0, 1000] {
        let bundle = with("rw", uid);
        let pid = bundle.start();
        for file in ["", "cgroup.procs", "cgroup.subtree_control", "cgroup.threads"] {
            assert_eq!(owner(&bundle, file), 100_000 + uid, "{file}");
        }
        assert_eq!(owner(&bundle, "memory.max"), 0);
        let deadline = Instant::now() + Duration::from_secs(60);
        while !bundle.output().contains("made") {
            assert!(Instant::now() < deadline, "{}", bundle.output());
            std::thread::sleep(Duration::from_millis(20));
        }
        // Others who join the namespace are given their own too.
        let mut other = with("rw", uid);
        let namespaces = other.spec["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "user");
        namespaces.push(json!({"type": "user", "path": format!("/proc/{pid}/ns/user")}));
        other.start();
        assert_eq!(owner(&other, "cgroup.procs"), 100_000 + uid);
    }
    let bundle = with("ro", 0);
    bundle.start();
    assert_eq!(owner(&bundle, ""), 0);
}
