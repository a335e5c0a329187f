//! Scheduling, memory, clocks and labels of a container's process.

use serde_json::json;

use crate::bundle::Bundle;

/// Field 19 of /proc/PID/stat is the nice value, field 41 the policy; the name before them has no blank here.
const SCHEDULING: &str = "set -- $(cat /proc/$$/stat); echo ${19} ${41}";

#[test]
fn the_scheduler_is_set_and_kept() {
    let cases = [
        (json!({"policy": "SCHED_BATCH", "nice": 5}), "5 3\n"),
        (json!({"policy": "SCHED_IDLE"}), "0 5\n"),
        (json!({"policy": "SCHED_OTHER", "nice": 3}), "3 0\n"),
    ];
    for (scheduler, expected) in cases {
        let bundle = Bundle::shell(SCHEDULING).set("/process/scheduler", scheduler.clone());
        assert_eq!(bundle.run().good(), expected, "{scheduler}");
    }
    let bad =
        Bundle::shell("true").set("/process/scheduler", json!({"policy": "SCHED_BATCH", "priority": 2}));
    assert!(bad.run().bad().contains("scheduler.priority can only be specified"));
    let iso = Bundle::shell("true").set("/process/scheduler", json!({"policy": "SCHED_ISO"}));
    assert!(iso.run().bad().contains("set scheduler"), "Linux has no SCHED_ISO");
}

#[test]
fn the_memory_policy_is_that_of_every_page() {
    let bundle = Bundle::shell("grep -c bind.*:0 /proc/self/numa_maps").set(
        "/linux/memoryPolicy",
        json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}),
    );
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        println!("skipped: the kernel has no NUMA");
        return;
    }
    assert_ne!(bundle.run().good(), "0\n");
    let bad = Bundle::shell("true").set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "1000"}));
    assert!(bad.run().bad().contains("set memory policy"));
}

#[test]
fn the_personality_is_set() {
    let bundle = Bundle::shell("cat /proc/self/personality")
        .set("/linux/personality", json!({"domain": "LINUX32", "flags": ["ADDR_NO_RANDOMIZE"]}));
    let read = ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"];
    let bundle =
        bundle.set("/process/capabilities", json!({"bounding": read, "effective": read, "permitted": read}));
    assert_eq!(bundle.run().good(), "00040008\n");
    let bad = Bundle::shell("true").set("/linux/personality", json!({"domain": "LINUX", "flags": ["X"]}));
    assert!(bad.run().bad().contains("linux.personality"));
}

#[test]
fn clocks_of_a_time_namespace_have_their_offset() {
    let mut bundle = Bundle::shell("cut -d. -f1 /proc/uptime");
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
    let year = 31_536_000;
    let bundle = bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": year, "nanosecs": 0}}));
    let text = bundle.run().good();
    assert!(text.trim().parse::<i64>().unwrap() >= year, "{text}");
    let bad = Bundle::shell("true").set("/linux/timeOffsets", json!({"monotonic": {"secs": 1}}));
    assert!(bad.run().bad().contains("linux.timeOffsets"));
}

#[test]
fn an_added_process_stays_on_its_processors() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    let own = std::fs::read_to_string("/proc/self/status").unwrap();
    let allowed = own.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let last = allowed.trim().rsplit([',', '-']).next().unwrap();
    let process = bundle.directory.join("process.json");
    let run = |affinity: serde_json::Value| {
        let mut value = bundle.spec["process"].clone();
        value["args"] = json!(["grep", "Cpus_allowed_list", "/proc/self/status"]);
        value["execCPUAffinity"] = affinity;
        std::fs::write(&process, value.to_string()).unwrap();
        bundle.exec_with(&["--process", process.to_str().unwrap()])
    };
    let expected = format!("Cpus_allowed_list:\t{last}\n");
    assert_eq!(run(json!({"final": last})).good(), expected);
    assert_eq!(run(json!({"initial": "0", "final": last})).good(), expected);
    assert!(run(json!({"final": "1023"})).bad().contains("process.execCPUAffinity"));
}

#[test]
fn labels_that_nothing_enforces_are_refused() {
    let cases = [
        ("/process/selinuxLabel", json!("system_u:system_r:svirt_lxc_net_t:s0"), "/sys/fs/selinux/enforce"),
        ("/linux/mountLabel", json!("system_u:object_r:svirt_sandbox_file_t:s0"), "/sys/fs/selinux/enforce"),
        ("/process/apparmorProfile", json!("some-profile"), "/sys/module/apparmor"),
        ("/linux/intelRdt", json!({"closID": "x"}), "/sys/fs/resctrl/schemata"),
    ];
    for (pointer, value, host_has) in cases {
        if std::path::Path::new(host_has).exists() {
            println!("skipped: the host has {host_has}");
            continue;
        }
        let error = Bundle::shell("true").set(pointer, value).run().bad();
        let field = pointer.trim_start_matches('/').replace('/', ".");
        assert!(error.contains(&field) && error.contains("not supported"), "{error}");
    }
}

#[test]
fn unknown_capabilities_are_a_warning() {
    let names = json!(["CAP_CHOWN", "CAP_NO_SUCH"]);
    let bundle = Bundle::shell("grep CapEff /proc/self/status")
        .set("/process/capabilities", json!({"bounding": names, "effective": names, "permitted": names}));
    let outcome = bundle.run();
    assert!(
        outcome.stderr.contains("ignoring unknown or unavailable capabilities: [CAP_NO_SUCH]"),
        "{outcome:?}"
    );
    assert_eq!(outcome.good(), "CapEff:\t0000000000000001\n");
}

#[test]
fn what_can_not_be_honoured_names_its_field() {
    let cases = [
        ("/linux/netDevices", json!({"no-such-link": {}}), "linux.netDevices"),
        ("/linux/netDevices", json!({"a/b": {}}), "linux.netDevices"),
        ("/linux/uidMappings", json!([{"containerID": 0, "hostID": 1, "size": 1}]), "linux.uidMappings"),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 8}), "process.ioPriority"),
    ];
    for (pointer, value, field) in cases {
        let error = Bundle::shell("true").set(pointer, value).run().bad();
        assert!(error.contains(field), "{error}");
    }
}

/// The "host" is a network namespace of this test's own. Busybox can't name the peer, so it gets its name later.
#[test]
fn links_move_into_the_container_with_their_addresses() {
    let bundle = Bundle::shell("ip addr show dev inside; ip addr show dev t0")
        .set("/linux/netDevices", json!({"barge-a": {"name": "inside"}, "barge-b": {"name": "t%d"}}));
    bundle.write();
    let directory = bundle.directory.display();
    let run = format!(
        "ip link add barge-a type veth && ip link set veth0 name barge-b && ip addr add 10.9.8.7/24 dev barge-a && \
         exec {} --root {directory}/state run -b {directory} {}",
        crate::bundle::program().display(),
        bundle.id
    );
    let output = std::process::Command::new("unshare").args(["-n", "sh", "-c", &run]).output().unwrap();
    let text = crate::bundle::Outcome::of(output).good();
    assert!(text.contains("inside") && text.contains("10.9.8.7/24"), "{text}");
    assert!(text.contains("t0") && text.matches(",UP").count() == 2, "{text}");
}
