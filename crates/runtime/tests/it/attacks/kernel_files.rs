//! Files of the kernel that something else stands in for: `/proc` and what is written there, the null device of masks,
//! terminals (CVE-2025-31133, CVE-2025-52565, CVE-2025-52881).

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::{Swapper, await_that, prepared, run_bounded, without_mount};
use crate::bundle::{Bundle, Outcome};

/// Runs a container from a mount namespace where `before` has mounted something.
fn run_in_a_namespace(bundle: &Bundle, before: &str) -> Outcome {
    bundle.write();
    let args = ["run", "-b", bundle.directory.to_str().unwrap(), &bundle.id];
    Outcome::of(prepared(bundle, &["unshare", "-m"], before, &args).output().unwrap())
}

/// CVE-2025-52881: what looks like a kernel parameter is a file of somebody else.
#[test]
fn parameters_are_written_to_the_kernel_and_to_no_stand_in() {
    let bundle = Bundle::shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/ip_default_ttl")
        .set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "net.ipv4.ip_default_ttl": "77"}));
    let fake = bundle.directory.join("fake");
    fs::create_dir_all(fake.join("net/ipv4")).unwrap();
    let files = ["ip_forward", "ip_default_ttl"].map(|name| fake.join("net/ipv4").join(name));
    files.iter().for_each(|file| fs::write(file, "untouched").unwrap());
    let cover = format!("mount --bind {} /proc/sys", fake.display());
    assert_eq!(run_in_a_namespace(&bundle, &cover).good(), "1\n77\n");
    let cover = format!("mount --bind {} /proc/sys/net/ipv4/ip_forward", files[0].display());
    assert_eq!(run_in_a_namespace(&bundle, &cover).good(), "1\n77\n");
    files.iter().for_each(|file| assert_eq!(fs::read_to_string(file).unwrap(), "untouched"));
}

#[test]
fn a_link_of_the_image_has_no_part_in_parameters() {
    let bundle = Bundle::shell("cat /proc/sys/net/ipv4/ip_default_ttl")
        .set("/linux/sysctl", json!({"net.ipv4.ip_default_ttl": "78"}));
    fs::create_dir_all(bundle.rootfs().join("proc/sys/net/ipv4")).unwrap();
    symlink("/etc/passwd", bundle.rootfs().join("proc/sys/net/ipv4/ip_default_ttl")).unwrap();
    assert_eq!(run_bounded(&bundle).good(), "78\n");
    assert!(fs::read_to_string(bundle.rootfs().join("etc/passwd")).unwrap().starts_with("root:"));
}

/// CVE-2025-31133: masks show the null device, or nothing runs.
#[test]
fn masks_are_the_null_device_or_nothing_runs() {
    let bundle = Bundle::shell("true");
    let error = run_in_a_namespace(&bundle, "mount --bind /dev/zero /dev/null").bad();
    assert!(error.contains("mask \"/dev/null\""), "{error}");
    for make in ["touch {}", "mknod {} b 1 3", "mknod {} c 1 5"] {
        let other = bundle.directory.join("other");
        let _ = fs::remove_file(&other);
        let make = make.replace("{}", other.to_str().unwrap());
        let cover = format!("{make} && mount --bind {} /dev/null", other.display());
        assert!(run_in_a_namespace(&bundle, &cover).bad().contains("mask \"/dev/null\""), "{make}");
    }
}

/// A volume on `/dev` whose `null` is, by turns, a link to a file of the kernel.
#[test]
fn the_containers_own_null_device_has_no_part_in_masks() {
    let host = Bundle::shell("true");
    let volume = host.directory.join("volume");
    fs::create_dir_all(volume.join("pts")).unwrap();
    fs::write(volume.join("null"), "").unwrap();
    symlink("/proc/sys/kernel/core_pattern", volume.join("link")).unwrap();
    let script = "stat -c %t:%T /proc/keys; cut -d' ' -f5 /proc/self/mountinfo | grep -c core_pattern";
    for swapped in [false, true] {
        let _swapper = swapped.then(|| Swapper::begin(volume.join("null"), volume.join("link")));
        for _ in 0..5 {
            let bundle = ["/dev", "/dev/pts", "/dev/mqueue", "/dev/shm"]
                .into_iter()
                .fold(Bundle::shell(script), without_mount)
                .bind(&volume, "/dev", &[]);
            let outcome = run_bounded(&bundle);
            assert_eq!(outcome.stdout, "1:3\n0\n", "{outcome:?}");
        }
    }
}

/// An image whose `/dev/null` is something else, with no filesystem mounted on `/dev`.
#[test]
fn an_image_with_its_own_null_device_is_refused() {
    for make in ["touch", "mkdir", "mkfifo", "ln -s /proc/sysrq-trigger"] {
        let bundle = ["/dev", "/dev/pts", "/dev/mqueue", "/dev/shm"]
            .into_iter()
            .fold(Bundle::shell("true"), without_mount);
        let null = bundle.rootfs().join("dev/null");
        assert!(
            Command::new("sh")
                .args(["-c", &format!("{make} {}", null.display())])
                .status()
                .unwrap()
                .success()
        );
        let error = run_bounded(&bundle).bad();
        assert!(error.contains("make device \"/dev/null\""), "{make}: {error}");
    }
}

/// Creates a container with a terminal whose master nobody takes; what it said.
fn with_terminal(bundle: &Bundle) -> Outcome {
    bundle.write();
    let socket = bundle.directory.join("console.sock");
    let _ = fs::remove_file(&socket);
    let _listener = UnixListener::bind(&socket).unwrap();
    let place = bundle.directory.to_str().unwrap();
    let args = ["create", "--console-socket", socket.to_str().unwrap(), "-b", place, &bundle.id];
    Outcome::of(prepared(bundle, &[], "exec > /dev/null", &args).output().unwrap())
}

/// The mount points of a created container, as its init has them.
fn mount_points(bundle: &Bundle) -> Vec<String> {
    let state: serde_json::Value =
        serde_json::from_str(&bundle.command(&["state", &bundle.id]).good()).unwrap();
    let text = fs::read_to_string(format!("/proc/{}/mountinfo", state["pid"])).unwrap();
    text.lines().map(|line| line.split(' ').nth(4).unwrap().to_owned()).collect()
}

/// CVE-2025-52565: the terminal is bound over `/dev/console`, wherever that leads.
#[test]
fn the_terminal_covers_no_file_of_the_kernel() {
    let host = Bundle::shell("true");
    let volume = host.directory.join("volume");
    fs::create_dir_all(volume.join("pts")).unwrap();
    fs::write(volume.join("console"), "").unwrap();
    symlink("/proc/sys/kernel/core_pattern", volume.join("link")).unwrap();
    let make = || {
        ["/dev", "/dev/mqueue", "/dev/shm"]
            .into_iter()
            .fold(Bundle::shell("true").set("/process/terminal", json!(true)), without_mount)
    };
    // The volume comes before the devpts that is mounted in it.
    let make = || {
        let mut bundle = make();
        let bind = json!({"destination": "/dev", "type": "bind", "source": volume, "options": ["bind"]});
        bundle.spec["mounts"].as_array_mut().unwrap().insert(1, bind);
        bundle
    };
    for swapped in [false, true] {
        let _swapper = swapped.then(|| Swapper::begin(volume.join("console"), volume.join("link")));
        for _ in 0..5 {
            let bundle = make();
            let outcome = with_terminal(&bundle);
            if outcome.code == 0 {
                let points = mount_points(&bundle);
                assert!(points.iter().any(|point| point.starts_with("/dev/")), "{points:?}");
                assert!(!points.iter().any(|point| point.contains("core_pattern")), "{points:?}");
            } else {
                assert!(outcome.stderr.contains("/dev/console"), "{outcome:?}");
            }
        }
    }
    // Never raced: a link that is there from the beginning.
    let _ = fs::remove_file(volume.join("console"));
    symlink("/proc/sys/kernel/core_pattern", volume.join("console")).unwrap();
    let bundle = make();
    assert_eq!(with_terminal(&bundle).code, 0);
    let points = mount_points(&bundle);
    assert!(points.iter().any(|point| point == "/dev/console"), "{points:?}");
    assert!(!points.iter().any(|point| point.contains("core_pattern")), "{points:?}");
}

/// A terminal for an added process comes from the real multiplexer, or not at all.
#[test]
fn a_multiplexer_of_the_containers_making_is_refused() {
    for make in ["ln -s /dev/null", "ln -s ../zero", "touch", "mkdir", "mknod p", "mknod c 1 3"] {
        let words: Vec<&str> = make.split(' ').collect();
        let script = match words.as_slice() {
            ["mknod", rest @ ..] => format!("mknod /dev/pts/ptmx {}", rest.join(" ")),
            _ => format!("{make} /dev/pts/ptmx"),
        };
        let rules = json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "access": "m"}]);
        let bundle = without_mount(
            Bundle::shell(&format!("mkdir /dev/pts; {script}; echo > /done; sleep 100")),
            "/dev/pts",
        )
        .set("/linux/resources/devices", rules);
        bundle.start();
        await_that(make, || bundle.rootfs().join("done").exists());
        let args = ["exec", "--tty", &bundle.id, "true"];
        let outcome = Outcome::of(prepared(&bundle, &[], "true", &args).output().unwrap());
        assert!(outcome.code != 0 && outcome.code != 137, "{make}: {outcome:?}");
        assert!(outcome.stderr.contains("/dev/pts/ptmx"), "{make}: {outcome:?}");
    }
    assert!(Path::new("/dev/null").exists());
}
