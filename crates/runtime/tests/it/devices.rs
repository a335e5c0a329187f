//! `/dev` and who may use which device.

use serde_json::json;

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
fn only_allowed_devices_can_be_opened() {
    let script =
        "cat /dev/zero | head -c 3 | wc -c; (cat /dev/tun-like | head -c 1) 2>&1 | grep -o 'not permitted'";
    let devices = json!([{"path": "/dev/tun-like", "type": "c", "major": 10, "minor": 200}]);
    let bundle = Bundle::shell(script).set("/linux/devices", devices.clone());
    assert_eq!(bundle.run().good(), "3\nnot permitted\n");

    let bundle = Bundle::shell("exec 9</dev/tun-like && echo open").set("/linux/devices", devices).set(
        "/linux/resources/devices",
        json!([
            {"allow": false, "access": "rwm"},
            {"allow": true, "type": "c", "major": 10, "minor": 200, "access": "rw"}
        ]),
    );
    assert_eq!(bundle.run().good(), "open\n");
}

#[test]
fn every_node_may_be_made_but_not_used() {
    let script =
        "mknod /tmp/d b 7 0 && echo made; (dd if=/tmp/d of=/dev/null count=1) 2>&1 | grep -o 'not permitted'";
    assert_eq!(Bundle::shell(script).run().good(), "made\nnot permitted\n");
}
