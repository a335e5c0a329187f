//! User namespaces that exist already: joined by path, alone or with others that they own.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};

use serde_json::{Value, json};

use crate::bundle::Bundle;

const HOST: u32 = 100_000;

fn mapping(host: u32) -> Value {
    json!([{"containerID": 0, "hostID": host, "size": 65536}])
}

/// A container in a new user namespace, which others join.
fn first() -> (Bundle, i32) {
    let mut bundle = Bundle::shell("sleep 100");
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    let bundle = bundle.set("/linux/uidMappings", mapping(HOST)).set("/linux/gidMappings", mapping(HOST));
    let pid = bundle.start();
    (bundle, pid)
}

/// Puts a bundle into the user namespace of `pid`, and into those of the named kinds.
fn beside(bundle: Bundle, pid: i32, kinds: &[&str]) -> Bundle {
    chown(bundle.rootfs().join("tmp"), Some(HOST), Some(HOST)).unwrap();
    let joined = |kind: &str| kinds.contains(&kind) || kind == "user";
    let namespaces: Vec<Value> = ["mount", "pid", "network", "ipc", "uts", "user", "time"]
        .into_iter()
        .map(|kind| match kind {
            kind if !joined(kind) => json!({"type": kind}),
            "network" => json!({"type": kind, "path": format!("/proc/{pid}/ns/net")}),
            kind => json!({"type": kind, "path": format!("/proc/{pid}/ns/{kind}")}),
        })
        .collect();
    bundle.set("/linux/namespaces", json!(namespaces))
}

fn namespace(pid: i32, kind: &str) -> String {
    fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap().display().to_string()
}

#[test]
fn a_joined_one_owns_all_that_is_new() {
    let (_first, pid) = first();
    let script = "id -u; hostname; cat /proc/self/timens_offsets | grep -c 'boottime *77'; ip link | grep -c LOOPBACK; \
                  cat /proc/sys/net/ipv4/ip_forward; touch /tmp/made && stat -c %u /tmp/made; \
                  readlink /proc/self/ns/user; mount -t tmpfs tmpfs /root && echo mounted";
    let mut bundle = beside(Bundle::shell(script), pid, &[])
        .set("/linux/timeOffsets", json!({"boottime": {"secs": 77}}))
        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    let source = bundle.directory.join("closed");
    fs::create_dir_all(source.join("source")).unwrap();
    fs::create_dir(bundle.rootfs().join("data")).unwrap();
    bundle = bundle.bind(&source.join("source"), "/data", &[]);
    for set in ["bounding", "effective", "permitted"] {
        bundle.spec["process"]["capabilities"][set].as_array_mut().unwrap().push(json!("CAP_SYS_ADMIN"));
    }
    let text = bundle.run().good();
    assert_eq!(text, format!("0\ninside\n1\n1\n1\n0\n{}\nmounted\n", namespace(pid, "user")));
    assert_eq!(fs::metadata(bundle.rootfs().join("tmp/made")).unwrap().uid(), HOST);
}

#[test]
fn those_that_belong_to_it_are_joined_with_it() {
    let (_first, pid) = first();
    let script = "ps | grep -c 'sleep 100$'; readlink /proc/self/ns/net; readlink /proc/self/ns/ipc";
    let mut bundle = beside(Bundle::shell(script), pid, &["pid", "network", "ipc", "uts"]);
    bundle.spec.as_object_mut().unwrap().remove("hostname");
    let text = bundle.run().good();
    assert_eq!(text, format!("1\n{}\n{}\n", namespace(pid, "net"), namespace(pid, "ipc")));
}

#[test]
fn processes_are_added_in_it() {
    let (_first, pid) = first();
    let bundle = beside(Bundle::shell("sleep 100"), pid, &[]);
    let own = bundle.start();
    assert_eq!(namespace(own, "user"), namespace(pid, "user"));
    let text = bundle.exec(&["sh", "-c", "id -u; readlink /proc/self/ns/user; readlink /proc/1/exe"]).good();
    assert_eq!(text, format!("0\n{}\n/bin/busybox\n", namespace(pid, "user")));
}

#[test]
fn maps_beside_a_path_have_to_be_the_same() {
    let (_first, pid) = first();
    let with = |host: u32| {
        let bundle = beside(Bundle::shell("cat /proc/self/uid_map"), pid, &[]);
        bundle.set("/linux/uidMappings", mapping(host)).set("/linux/gidMappings", mapping(HOST))
    };
    let text = with(HOST).run().good();
    assert_eq!(text.split_whitespace().collect::<Vec<_>>(), ["0", "100000", "65536"]);
    let error = with(HOST + 1).run().bad();
    assert!(error.contains("both namespace path and non-matching mapping specified"), "{error}");
}

#[test]
fn the_callers_own_is_no_other() {
    let bundle = Bundle::shell("readlink /proc/self/ns/user; sleep 100");
    let mut bundle = beside(bundle, std::process::id() as i32, &[]);
    bundle.spec["linux"]["namespaces"]
        .as_array_mut()
        .unwrap()
        .retain(|namespace| namespace["type"] != "time");
    let pid = bundle.start();
    assert_eq!(namespace(pid, "user"), namespace(std::process::id() as i32, "user"));
    assert_eq!(bundle.exec(&["id", "-u"]).good(), "0\n");
}

#[test]
fn what_can_not_be_joined_is_named() {
    let (_first, pid) = first();
    let net = format!("/proc/{pid}/ns/net");
    let bundle = Bundle::shell("true")
        .set("/linux/namespaces", json!([{"type": "mount"}, {"type": "pid"}, {"type": "user", "path": net}]));
    let mut bundle = bundle;
    bundle.spec.as_object_mut().unwrap().remove("hostname");
    assert!(bundle.run().bad().contains("join user namespace: invalid argument"));
}

#[test]
fn the_runtime_sets_the_oom_score_of_a_process_that_may_not() {
    let own: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    let wanted = (own + 100).min(1000);
    let mut bundle = Bundle::shell("cat /proc/self/oom_score_adj");
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    let bundle = bundle
        .set("/linux/uidMappings", mapping(HOST))
        .set("/linux/gidMappings", mapping(HOST))
        .set("/process/oomScoreAdj", json!(wanted));
    assert_eq!(bundle.run().good(), format!("{wanted}\n"));
    let bundle = bundle.set("/process/args", json!(["sleep", "100"]));
    bundle.start();
    assert_eq!(bundle.exec(&["cat", "/proc/self/oom_score_adj"]).good(), format!("{wanted}\n"));
}
