//! Places of mounts that lead, or are swapped so that they lead, out of the root or into `/proc`.
//!
//! CVE-2021-30465 and CVE-2024-45310 (a volume's directory becomes a link while it is looked up), CVE-2019-16884,
//! CVE-2019-19921, CVE-2023-27561 and CVE-2023-28642 (`/proc` is something else).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{Swapper, run_bounded};
use crate::bundle::Bundle;

#[test]
fn links_at_mount_destinations_stay_inside() {
    let bundle = Bundle::shell("cat /outside/mark");
    let outside = bundle.directory.join("outside");
    let source = bundle.directory.join("source");
    fs::create_dir_all(&outside).unwrap();
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("mark"), "inside\n").unwrap();
    symlink(&outside, bundle.rootfs().join("absolute")).unwrap();
    symlink("../../../../../../../../../../outside", bundle.rootfs().join("relative")).unwrap();
    let text = bundle.bind(&source, "/relative", &[]);
    assert_eq!(text.run().good(), "inside\n");
    let text = text.bind(&source, "/absolute/made", &[]);
    text.run().good();
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing was made on the host");
}

#[test]
fn dot_dot_in_a_destination_is_refused() {
    let bundle = Bundle::shell("true").bind("/etc".as_ref(), "/x/../../../etc", &[]);
    assert!(bundle.run().bad().contains("contains .."));
}

#[test]
fn proc_must_be_an_ordinary_directory() {
    for kind in ["proc", "sys"] {
        let bundle = Bundle::shell("true");
        fs::remove_dir(bundle.rootfs().join(kind)).unwrap();
        symlink("/etc", bundle.rootfs().join(kind)).unwrap();
        let error = bundle.run().bad();
        assert!(error.contains("must be mounted on ordinary directory"), "{error}");
    }
}

#[test]
fn nothing_is_mounted_inside_proc() {
    let bundle = Bundle::shell("true");
    symlink("/proc/sys", bundle.rootfs().join("way")).unwrap();
    let source = bundle.directory.join("source");
    fs::create_dir_all(&source).unwrap();
    for destination in
        ["/proc", "/proc/sys", "/proc/self/attr", "/proc/x", "/proc/x/y", "/way", "/way/kernel"]
    {
        let bundle = Bundle::shell("true");
        symlink("/proc/sys", bundle.rootfs().join("way")).unwrap();
        let error = bundle.bind(&source, destination, &[]).run().bad();
        assert!(error.contains("inside /proc"), "{destination}: {error}");
    }
    let tmpfs = Bundle::shell("true").mount(json!({"destination": "/proc/fs", "type": "tmpfs"}));
    assert!(tmpfs.run().bad().contains("inside /proc"));
    let tmpfs = Bundle::shell("true").mount(json!({"destination": "/proc/x", "type": "tmpfs"}));
    assert!(tmpfs.run().bad().contains("inside /proc"));
    let uptime = Bundle::shell("cat /proc/uptime");
    let file = uptime.directory.join("uptime");
    fs::write(&file, "1.00 1.00\n").unwrap();
    assert_eq!(uptime.bind(&file, "/proc/uptime", &[]).run().good(), "1.00 1.00\n");
}

#[test]
fn a_link_to_the_root_is_no_place() {
    for (kind, destination) in [("bind", "/way"), ("tmpfs", "/way"), ("cgroup", "/way"), ("bind", "/dots")] {
        let bundle = Bundle::shell("true");
        symlink("/", bundle.rootfs().join("way")).unwrap();
        symlink("etc/../..", bundle.rootfs().join("dots")).unwrap();
        let source = bundle.directory.join("source");
        fs::create_dir_all(&source).unwrap();
        let bundle = match kind {
            "bind" => bundle.bind(&source, destination, &[]),
            kind => bundle.mount(json!({"destination": destination, "type": kind, "source": kind})),
        };
        let error = bundle.run().bad();
        assert!(error.contains("on top of the root filesystem"), "{kind} {destination}: {error}");
    }
}

#[test]
fn no_kind_of_mount_comes_into_proc_through_a_link() {
    for kind in ["tmpfs", "cgroup", "mqueue", "sysfs"] {
        let bundle = Bundle::shell("true")
            .mount(json!({"destination": "/way", "type": kind, "source": kind, "options": ["ro"]}));
        symlink("/proc/sys", bundle.rootfs().join("way")).unwrap();
        let error = bundle.run().bad();
        let known = ["inside /proc", "must be mounted on ordinary directory"];
        assert!(known.iter().any(|words| error.contains(words)), "{kind}: {error}");
    }
}

/// The mount points that a container sees, one to a line.
const MOUNT_POINTS: &str = "cut -d' ' -f5 /proc/self/mountinfo";

/// A volume whose directory is swapped with a link out of it, while a second volume is mounted below: nothing is made
/// on the host, and the mount is in the root or nowhere.
#[test]
fn a_volume_that_changes_under_the_runtime_leads_nowhere() {
    let host = Bundle::shell("true");
    let (outside, volume, source) =
        (host.directory.join("outside"), host.directory.join("volume"), host.directory.join("source"));
    for directory in [&outside, &volume, &source] {
        fs::create_dir_all(directory).unwrap();
    }
    fs::write(source.join("file"), "").unwrap();
    let up = format!("../../../../../../../../../../../..{}", outside.display());
    for target in [outside.to_str().unwrap(), &up, "/proc/self/cwd", "/proc/1/root/tmp"] {
        let _ = (fs::remove_file(volume.join("link")), fs::remove_dir_all(volume.join("place")));
        let _ = fs::remove_file(volume.join("place"));
        let _ = fs::remove_dir_all(volume.join("link"));
        fs::create_dir(volume.join("place")).unwrap();
        symlink(target, volume.join("link")).unwrap();
        let mut swapper = None;
        for round in 0..7 {
            let bundle = Bundle::shell(MOUNT_POINTS).bind(&volume, "/volume", &[]);
            let below = format!("/volume/place/{round}/deep");
            let bundle = match round % 3 {
                0 => bundle.bind(&source, &below, &[]),
                1 => bundle.bind(&source.join("file"), &below, &[]),
                _ => bundle.mount(json!({"destination": below, "type": "tmpfs", "source": "tmpfs"})),
            };
            let outcome = run_bounded(&bundle);
            if swapper.is_none() {
                // Left in peace, it works.
                assert!(outcome.stdout.lines().any(|point| point == below), "{outcome:?}");
                swapper = Some(Swapper::begin(volume.join("place"), volume.join("link")));
            }
            let strange: Vec<&str> = outcome
                .stdout
                .lines()
                .filter(|point| point.ends_with("deep") && point.starts_with("/proc"))
                .collect();
            assert!(strange.is_empty(), "{outcome:?}");
            assert_ne!(outcome.code, 137, "it hangs: {outcome:?}");
        }
        drop(swapper);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{target}: something was made on the host");
    }
}

#[test]
fn what_is_copied_up_is_the_images_own() {
    let bundle =
        Bundle::shell("cat /data/absolute /data/relative 2>&1; readlink /data/absolute; ls /data/fifo")
            .mount(
                json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}),
            );
    let secret = bundle.directory.join("secret");
    fs::write(&secret, "of the host\n").unwrap();
    let data = bundle.rootfs().join("data");
    fs::create_dir(&data).unwrap();
    symlink(&secret, data.join("absolute")).unwrap();
    symlink("../../secret", data.join("relative")).unwrap();
    assert!(Command::new("mkfifo").arg(data.join("fifo")).status().unwrap().success());
    let text = run_bounded(&bundle).good();
    assert!(!text.contains("of the host"), "{text}");
    assert!(text.contains(secret.to_str().unwrap()) && text.ends_with("/data/fifo\n"), "{text}");
}

/// A file that is a pipe by the time it is opened does not block the start.
#[test]
fn a_file_that_changes_while_it_is_copied_up_blocks_nothing() {
    let host = Bundle::shell("true");
    let volume = host.directory.join("volume");
    fs::create_dir_all(&volume).unwrap();
    fs::write(volume.join("file"), "text").unwrap();
    assert!(Command::new("mkfifo").arg(volume.join("fifo")).status().unwrap().success());
    let _swapper = Swapper::begin(volume.join("file"), volume.join("fifo"));
    for _ in 0..8 {
        let bundle = Bundle::shell("true").bind(&volume, "/data", &[]).mount(
            json!({"destination": "/data", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}),
        );
        let outcome = run_bounded(&bundle);
        assert_ne!(outcome.code, 137, "it hangs: {outcome:?}");
    }
}

#[test]
fn a_source_is_the_hosts_and_does_not_follow_what_is_mounted_before() {
    // The first mount makes /inside of the container; the second names the host's directory of that name.
    let bundle = Bundle::shell("ls /second");
    let inside = bundle.directory.join("inside");
    fs::create_dir_all(inside.join("of-the-host")).unwrap();
    let shadow = bundle.directory.join("shadow");
    fs::create_dir_all(shadow.join("of-the-container")).unwrap();
    let place = inside.to_str().unwrap().to_owned();
    let bundle = bundle.bind(&shadow, &place, &[]).bind(Path::new(&place), "/second", &[]);
    assert_eq!(run_bounded(&bundle).good(), "of-the-host\n");
}
