//! Namespaces: new, joined, the host's.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::json;

use crate::bundle::Bundle;

fn of_host(kind: &str) -> u64 {
    fs::metadata(format!("/proc/self/ns/{kind}")).unwrap().ino()
}

const KINDS: [&str; 6] = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];

fn inside(bundle: &Bundle) -> Vec<u64> {
    let text = bundle.run().good();
    text.lines().map(|line| line.split(['[', ']']).nth(1).unwrap().parse().unwrap()).collect()
}

fn reader() -> Bundle {
    let script = KINDS.map(|kind| format!("readlink /proc/self/ns/{kind}")).join("; ");
    Bundle::shell(&script)
}

#[test]
fn new_ones_differ_from_the_hosts_and_left_out_ones_do_not() {
    let all = KINDS
        .map(|kind| json!({"type": match kind { "mnt" => "mount", "net" => "network", other => other }}));
    let found = inside(&reader().set("/linux/namespaces", json!(all)));
    for (kind, inode) in KINDS.iter().zip(found) {
        assert_ne!(inode, of_host(kind), "{kind}");
    }
    let mut shared = reader().set("/linux/namespaces", json!([{"type": "mount"}]));
    shared.spec.as_object_mut().unwrap().remove("hostname");
    for (kind, inode) in KINDS.iter().zip(inside(&shared)).filter(|(kind, _)| **kind != "mnt") {
        assert_eq!(inode, of_host(kind), "{kind}");
    }
}

#[test]
fn another_containers_are_joined_by_path() {
    let first = Bundle::shell("sleep 100");
    let pid = first.start();
    let path = |kind: &str| format!("/proc/{pid}/ns/{kind}");
    let second = Bundle::shell("ps | grep -c 'sleep 100$'; hostname").set(
        "/linux/namespaces",
        json!([
            {"type": "mount"},
            {"type": "pid", "path": path("pid")},
            {"type": "network", "path": path("net")},
            {"type": "ipc", "path": path("ipc")},
            {"type": "uts", "path": path("uts")}
        ]),
    );
    let mut second = second;
    second.spec.as_object_mut().unwrap().remove("hostname");
    assert_eq!(second.run().good(), "1\ninside\n");
}

#[test]
fn a_network_namespace_is_joined_by_descriptor() {
    let first = Bundle::shell("sleep 100");
    let path = format!("/proc/{}/ns/net", first.start());
    let inode = fs::metadata(&path).unwrap().ino();
    let text = Bundle::shell("readlink /proc/self/ns/net").drive(json!({"netns": path})).good();
    assert_eq!(text, format!("net:[{inode}]\n"));
}

#[test]
fn names_and_sysctls_are_the_containers_own() {
    let bundle = Bundle::shell(
        "hostname; cat /proc/sys/kernel/domainname /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shm_rmid_forced",
    )
    .set("/domainname", json!("example.org"))
    .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "kernel.shm_rmid_forced": "1"}));
    assert_eq!(bundle.run().good(), "inside\nexample.org\n1\n1\n");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_ne!(host, "inside\n");
    for namespaces in
        [json!([{"type": "mount"}, {"type": "uts"}]), json!([{"type": "mount"}, {"type": "network"}])]
    {
        let shared = Bundle::shell("true")
            .set("/linux/namespaces", namespaces)
            .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "0"}));
        assert!(shared.run().bad().contains("namespace"), "what would change the host is refused");
    }
    let bad = Bundle::shell("true").set("/linux/sysctl", json!({"net.no.such": "1"}));
    assert!(bad.run().bad().contains("sysctl \"net.no.such\""));
}

#[test]
fn parameters_of_a_namespace_that_is_the_callers_are_refused_although_it_is_joined_by_path() {
    for (kind, key) in
        [("network", "net.ipv4.ip_forward"), ("ipc", "kernel.shm_rmid_forced"), ("uts", "kernel.domainname")]
    {
        let file = format!("/proc/sys/{}", key.replace('.', "/"));
        let present = fs::read_to_string(file).unwrap();
        let path = format!("/proc/self/ns/{}", if kind == "network" { "net" } else { kind });
        let bundle = Bundle::shell("true")
            .set("/linux/namespaces", json!([{"type": "mount"}, {"type": kind, "path": path}]))
            .set("/hostname", serde_json::Value::Null)
            .set("/linux/sysctl", json!({key: present.trim()}));
        let error = bundle.run().bad();
        assert!(error.contains("is not in a separate kernel namespace"), "{key}: {error}");
    }
}

#[test]
fn limits_of_a_user_namespace_are_its_own() {
    let key = "/proc/sys/user/max_net_namespaces";
    let sysctl = json!({"user.max_net_namespaces": "7"});
    let bundle = Bundle::shell(&format!("cat {key}")).set("/linux/sysctl", sysctl);
    let error = bundle.run().bad();
    assert!(error.contains("is not in a separate kernel namespace"), "{error}");
    let mut bundle = bundle;
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let bundle = bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    assert_eq!(bundle.run().good(), "7\n");
    assert_ne!(fs::read_to_string(key).unwrap(), "7\n");
}

#[test]
fn the_loopback_device_of_a_new_network_is_up() {
    const UP: &str = "0x9\n";
    let bundle = Bundle::shell("cat /sys/class/net/lo/flags");
    assert_eq!(bundle.run().good(), UP);
    let mut bundle = bundle;
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let bundle = bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    assert_eq!(bundle.run().good(), UP);
}

#[test]
fn the_program_is_process_one_and_leads_a_session() {
    let bundle = Bundle::shell("echo $$; cat /proc/self/stat | head -c 1000");
    let text = bundle.run().good();
    assert!(text.starts_with("1\n"), "{text}");
    let fields: Vec<&str> =
        text.lines().nth(1).unwrap().rsplit(')').next().unwrap().split_whitespace().collect();
    assert_eq!(fields[3], "1", "session");
}

#[test]
fn signals_are_all_default_and_unblocked() {
    let bundle = Bundle::new(&["grep", "-E", "^Sig(Blk|Ign|Cgt)", "/proc/self/status"]);
    let zero = "0000000000000000";
    assert_eq!(bundle.run().good(), format!("SigBlk:\t{zero}\nSigIgn:\t{zero}\nSigCgt:\t{zero}\n"));
}

#[test]
fn a_user_namespace_maps_ids() {
    let mut bundle = Bundle::shell("id -u; cat /proc/self/uid_map; touch /tmp/made && stat -c %u /tmp/made");
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let bundle = bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    let path = bundle.rootfs().join("tmp");
    std::os::unix::fs::chown(&path, Some(100_000), Some(100_000)).unwrap();
    let text = bundle.run().good();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "100000", "65536", "0"]);
    assert_eq!(fs::metadata(path.join("made")).unwrap().uid(), 100_000);

    let bundle = bundle.set("/process/args", json!(["sleep", "100"]));
    bundle.start();
    let text = bundle.exec(&["sh", "-c", "id -u; cat /proc/self/uid_map; readlink /proc/1/exe"]).good();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert_eq!(words, ["0", "0", "100000", "65536", "/bin/busybox"]);
}

#[test]
fn a_time_namespace_is_new() {
    let mut bundle = Bundle::shell("readlink /proc/self/ns/time");
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
    assert_ne!(bundle.run().good(), format!("time:[{}]\n", of_host("time")));
}
