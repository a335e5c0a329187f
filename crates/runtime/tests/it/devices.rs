//! `/dev` and who may use which device.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::bundle::Bundle;

#[test]
fn the_standard_devices_and_links_are_there() {
    let script = "for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a' /dev/$d; done; \
                  for l in fd stdin stdout stderr ptmx; do echo $l $(readlink /dev/$l); done";
    let text = Bundle::shell(script).run().good();
    for line in [
        "/dev/null character special file 1:3 666",
        "/dev/full character special file 1:7 666",
        "/dev/tty character special file 5:0 666",
        "fd /proc/self/fd",
        "stdin /proc/self/fd/0",
        "ptmx pts/ptmx",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
    }
}

#[test]
fn listed_devices_are_made_with_owner_and_mode() {
    let bundle = Bundle::shell("stat -c '%F %t:%T %a %u:%g' /dev/net/tun /dev/null").set(
        "/linux/devices",
        json!([
            {"path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o660, "uid": 7, "gid": 8},
            {"path": "/dev/null", "type": "c", "major": 1, "minor": 3}
        ]),
    );
    assert_eq!(
        bundle.run().good(),
        "character special file a:c8 660 7:8\ncharacter special file 1:3 666 0:0\n"
    );
}

#[test]
fn every_type_of_node_can_be_listed_anywhere() {
    let script = "stat -c '%F %t:%T %a %u:%g' /dev/zero /dev/loop /pipe /opt/raw; readlink /dev/ptmx";
    let bundle = Bundle::shell(script).set(
        "/linux/devices",
        json!([
            {"path": "/dev/zero", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 3, "gid": 4},
            {"path": "/dev/loop", "type": "b", "major": 7, "minor": 0, "fileMode": 0o660},
            {"path": "/pipe", "type": "p", "fileMode": 0o600, "uid": 9},
            {"path": "/opt/raw", "type": "u", "major": 1, "minor": 8},
            {"path": "/dev/ptmx", "type": "c", "major": 5, "minor": 2}
        ]),
    );
    let text = "character special file 1:5 640 3:4\nblock special file 7:0 660 0:0\nfifo 0:0 600 9:0\n\
                character special file 1:8 666 0:0\npts/ptmx\n";
    assert_eq!(bundle.run().good(), text);
}

#[test]
fn a_node_in_the_way_is_not_taken_for_the_device() {
    let bundle = Bundle::shell("true")
        .set("/linux/devices", json!([{"path": "/opt/d", "type": "c", "major": 1, "minor": 3}]));
    fs::create_dir_all(bundle.rootfs().join("opt")).unwrap();
    fs::write(bundle.rootfs().join("opt/d"), "").unwrap();
    assert!(bundle.run().bad().contains("make device \"/opt/d\": file exists"));
    let outside = bundle.directory.join("outside");
    fs::create_dir_all(&outside).unwrap();
    fs::remove_dir_all(bundle.rootfs().join("opt")).unwrap();
    symlink(&outside, bundle.rootfs().join("opt")).unwrap();
    bundle.run().good();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "a link led out of the root");
}

/// Whether the kernel has a driver for it or not: it asks for permission first.
fn open(device: &str) -> String {
    format!("(exec 9< {device}) 2>&1")
}

#[test]
fn only_allowed_devices_can_be_opened() {
    let script =
        "cat /dev/zero | head -c 3 | wc -c; (cat /dev/fuse-like | head -c 1) 2>&1 | grep -o 'not permitted'";
    let devices = json!([{"path": "/dev/fuse-like", "type": "c", "major": 10, "minor": 229}]);
    let bundle = Bundle::shell(script).set("/linux/devices", devices.clone());
    assert_eq!(bundle.run().good(), "3\nnot permitted\n");

    let bundle = Bundle::shell(&format!("{} | grep -c 'not permitted'; true", open("/dev/fuse-like")))
        .set("/linux/devices", devices)
        .set(
            "/linux/resources/devices",
            json!([
                {"allow": false, "access": "rwm"},
                {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"}
            ]),
        );
    assert_eq!(bundle.run().good(), "0\n");
}

/// A specification without rules, or with some that begin otherwise, does not mean that everything is allowed.
#[test]
fn the_hosts_devices_are_shut_unless_a_rule_opens_them() {
    let script = format!(
        "mknod /tmp/disk b 7 0; mknod /tmp/fuse c 10 229; head -c 1 /dev/zero | wc -c; \
         for node in disk fuse; do {} | grep -c 'not permitted'; done; true",
        open("/tmp/$node")
    );
    let shut = "1\n1\n1\n";
    let everything = json!({"devices": [{"allow": true, "access": "rwm"}]});
    for (resources, expected) in [
        (Value::Null, shut),
        (json!({}), shut),
        (json!({"devices": []}), shut),
        (json!({"devices": [{"allow": true, "type": "c", "major": 1, "minor": 3, "access": "r"}]}), shut),
        (json!({"devices": [{"allow": false, "type": "c", "major": 1, "minor": 2, "access": "r"}]}), shut),
        (json!({"devices": [{"allow": true, "type": "b", "major": 7, "access": "r"}]}), "1\n0\n1\n"),
        (everything, "1\n0\n0\n"),
    ] {
        let mut bundle = Bundle::shell(&script);
        match &resources {
            Value::Null => drop(bundle.spec["linux"].as_object_mut().unwrap().remove("resources")),
            resources => bundle.spec["linux"]["resources"] = resources.clone(),
        }
        assert_eq!(bundle.run().good(), expected, "{resources}");
    }
}

#[test]
fn every_node_may_be_made_but_not_used() {
    let script =
        "mknod /tmp/d b 7 0 && echo made; (dd if=/tmp/d of=/dev/null count=1) 2>&1 | grep -o 'not permitted'";
    assert_eq!(Bundle::shell(script).run().good(), "made\nnot permitted\n");
}
