//! Protections that hold against whoever is inside: read-only and masked paths, devices, cgroups.

use std::fs;
use std::os::linux::fs::MetadataExt;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::{run_bounded, with_all_capabilities};
use crate::bundle::Bundle;

#[test]
fn a_masked_path_behind_a_link_is_masked_where_it_leads() {
    let bundle =
        Bundle::shell("cat /real/secret | wc -c").set("/linux/maskedPaths", json!(["/alias/secret"]));
    fs::create_dir(bundle.rootfs().join("real")).unwrap();
    fs::write(bundle.rootfs().join("real/secret"), "xyz").unwrap();
    symlink("real", bundle.rootfs().join("alias")).unwrap();
    assert_eq!(bundle.run().good(), "0\n");
}

#[test]
fn the_image_can_not_redirect_devices() {
    let bundle = Bundle::shell("echo x > /dev/null; stat -c '%F %t:%T' /dev/null; readlink /dev/ptmx");
    let text = bundle.run().good();
    assert_eq!(text, "character special file 1:3\npts/ptmx\n");
}

#[test]
fn a_read_only_path_behind_a_link_is_read_only_where_it_leads() {
    let script =
        "for f in /real/file /alias/file; do (echo x > $f) 2>&1; done; echo y > /free; cat /real/file";
    let bundle = Bundle::shell(script).set("/linux/readonlyPaths", json!(["/alias", "/outside"]));
    fs::create_dir(bundle.rootfs().join("real")).unwrap();
    fs::write(bundle.rootfs().join("real/file"), "as it was\n").unwrap();
    symlink("real", bundle.rootfs().join("alias")).unwrap();
    let outside = bundle.directory.join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, bundle.rootfs().join("outside")).unwrap();
    let text = run_bounded(&bundle).good();
    assert_eq!(text.matches("Read-only file system").count(), 2, "{text}");
    assert!(text.ends_with("as it was\n"), "{text}");
}

/// What a process without `CAP_SYS_ADMIN` tries to get its view of `/proc` changed.
#[test]
fn nobody_inside_undoes_masks_and_read_only_paths() {
    let script = "mount -o remount,rw /proc/sys && echo undone; \
                  mount -o remount,bind,rw /proc/sys && echo undone; \
                  mount --bind /proc /tmp && echo undone; \
                  mount -t proc proc /tmp && echo undone; \
                  umount /proc/keys && echo undone; \
                  busybox unshare -Urm sh -c 'umount /proc/keys' && echo undone; \
                  busybox unshare -Urm sh -c 'umount -l /proc/sys' && echo undone; \
                  busybox unshare -Urm sh -c 'mount -o remount,bind,rw /proc/sys' && echo undone; \
                  busybox unshare -Urmpf sh -c 'mount -t proc proc /tmp' && echo undone; \
                  busybox unshare -Urm sh -c 'mount --bind /proc /tmp' && echo undone; \
                  (echo core > /proc/sys/kernel/core_pattern) && echo undone; \
                  [ -s /proc/keys ] && echo undone; \
                  wc -c < /proc/keys; stat -c %t:%T /proc/keys";
    let before = fs::read("/proc/sys/kernel/core_pattern").unwrap();
    let text = run_bounded(&Bundle::shell(script)).good();
    assert_eq!(text, "0\n1:3\n");
    assert_eq!(fs::read("/proc/sys/kernel/core_pattern").unwrap(), before);
}

/// The disk under this test, by its number, and the memory of the machine.
#[test]
fn a_node_of_the_hosts_disk_opens_nothing() {
    let disk = fs::metadata("/").unwrap().st_dev();
    let (major, minor) = (rustix::fs::major(disk), rustix::fs::minor(disk));
    let script = format!(
        "mknod /tmp/disk b {major} {minor}; mknod /tmp/memory c 1 1; mknod /tmp/loop b 7 0; mknod /tmp/fuse c 10 229; \
         mknod /tmp/null c 1 3; \
         for node in disk memory loop fuse; do \
           [ -e /tmp/$node ] || echo $node was not made; \
           (exec 3< /tmp/$node) 2> /tmp/why && echo $node opened; grep -c 'not permitted' /tmp/why; \
           (exec 3> /tmp/$node) 2> /tmp/why && echo $node opened; grep -c 'not permitted' /tmp/why; \
         done; echo x > /tmp/null && echo null is fine"
    );
    let rules = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "access": "m"},
        {"allow": true, "type": "b", "access": "m"}
    ]);
    let bundle = Bundle::shell(&script).set("/linux/resources/devices", rules);
    assert_eq!(run_bounded(&bundle).good(), format!("{}null is fine\n", "1\n".repeat(8)));
}

/// The container's cgroup, even where it is mounted for writing, gives no device free.
#[test]
fn device_rules_can_not_be_changed_from_inside() {
    let directory = "/sys/fs/cgroup/devices";
    if !std::path::Path::new(directory).join("devices.list").exists() {
        println!("skipped: needs the devices controller of cgroup v1");
        return;
    }
    let script = "cd /sys/fs/cgroup/devices; \
                  (echo 'a *:* rwm' > devices.allow) 2> /tmp/why && echo allowed; cat /tmp/why; \
                  mkdir below && (echo 'a *:* rwm' > below/devices.allow) 2>/dev/null && echo allowed below; \
                  (echo $$ > /sys/fs/cgroup/devices/../../../cgroup/devices/cgroup.procs) 2>/dev/null; \
                  grep -c . devices.list; grep '^a ' devices.list";
    for (options, refusal) in [(["ro"], "Read-only file system"), (["rw"], "not permitted")] {
        let mut bundle = Bundle::shell(script);
        for mount in bundle.spec["mounts"].as_array_mut().unwrap() {
            if mount["type"] == "cgroup" {
                mount["options"] = json!(options);
            }
        }
        let outcome = run_bounded(&bundle);
        assert!(outcome.stdout.contains(refusal), "{options:?}: {outcome:?}");
        assert!(!outcome.stdout.contains("allowed") && !outcome.stdout.contains("a *:*"), "{outcome:?}");
    }
}

/// With every capability, but behind a read-only mount of cgroups.
#[test]
fn a_read_only_cgroup_mount_shows_only_the_containers_and_takes_nothing() {
    let script = "cd /sys/fs/cgroup; for f in $(busybox find . -name cgroup.procs); do \
                    (echo $$ > $f) 2>/dev/null && echo written $f; done; \
                  mkdir below 2>/dev/null && echo made; busybox find . -name 'barge-it-*'; echo end";
    let bundle = Bundle::shell(script);
    assert_eq!(run_bounded(&bundle).good(), "end\n");
}

#[test]
fn all_capabilities_do_not_open_devices() {
    let disk = fs::metadata("/").unwrap().st_dev();
    let (major, minor) = (rustix::fs::major(disk), rustix::fs::minor(disk));
    let script = format!(
        "mknod /tmp/disk b {major} {minor}; dd if=/tmp/disk of=/dev/null count=1 2>&1 | grep -v records"
    );
    let text = with_all_capabilities(Bundle::shell(&script)).run();
    assert!(!text.stdout.contains("copied") && !text.stdout.is_empty(), "{text:?}");
}
