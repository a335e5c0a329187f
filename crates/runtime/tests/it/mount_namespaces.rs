//! Containers without a mount namespace of their own: in the host's, and in one named by path.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::bundle::Bundle;

/// Linux 6.15 taught the kernel to mount inside trees that are attached nowhere. The reason of a skip is not captured.
fn supported() -> bool {
    let bundle = without(Bundle::shell("true"), json!([]));
    let outcome = bundle.run();
    let there = outcome.code == 0;
    if !there {
        assert!(
            outcome.stderr.contains("without a mount namespace of its own needs Linux 6.15"),
            "{outcome:?}"
        );
        let text = b"skipped: a container without a mount namespace of its own needs Linux 6.15\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text);
    }
    there
}

/// The bundle with other namespaces than a mount namespace of its own.
fn without(bundle: Bundle, mount: Value) -> Bundle {
    let mut namespaces = json!([{"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}]);
    namespaces.as_array_mut().unwrap().extend(mount.as_array().unwrap().clone());
    bundle.set("/linux/namespaces", namespaces)
}

fn of(pid: impl std::fmt::Display) -> String {
    fs::read_link(format!("/proc/{pid}/ns/mnt")).unwrap().display().to_string()
}

fn sees(pid: impl std::fmt::Display, bundle: &Bundle) -> bool {
    fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap().contains(&bundle.id)
}

const LOOK: &str = "readlink /proc/self/ns/mnt; ls -d /bin /dev/shm; echo $$; test -s /proc/keys || echo masked; \
                    (echo x > /proc/sys/kernel/hostname) 2>/dev/null || echo protected; \
                    stat -c %t:%T /dev/null; ls /sys/fs/cgroup | grep -c . > /dev/null && echo cgroups; cat /data/file; \
                    cd ../../..; ls -d bin";
const SEEN: &str = "/bin\n/dev/shm\n1\nmasked\nprotected\n1:3\ncgroups\nvolume\nbin\n";

/// With a volume whose source only the host has.
fn with_volume(bundle: Bundle) -> Bundle {
    let source = bundle.directory.join("source");
    fs::create_dir_all(&source).unwrap();
    fs::write(source.join("file"), "volume\n").unwrap();
    bundle.bind(&source, "/data", &["ro"])
}

#[test]
fn the_hosts_shows_nothing_of_the_container() {
    if !supported() {
        return;
    }
    let bundle = without(with_volume(Bundle::shell(LOOK)), json!([]));
    assert_eq!(bundle.run().good(), format!("{}\n{SEEN}", of("self")));

    let bundle = bundle.set("/process/args", json!(["sleep", "100"]));
    let pid = bundle.start();
    assert_eq!(of(pid), of("self"));
    assert!(!sees("self", &bundle), "the host sees mounts of the container");
    assert!(!bundle.rootfs().join("proc/1").exists());
    let text = bundle
        .exec(&["sh", "-c", "readlink /proc/self/ns/mnt; cat /data/file; ls -d /etc/passwd /proc/1"])
        .good();
    assert_eq!(text, format!("{}\nvolume\n/etc/passwd\n/proc/1\n", of("self")));
}

/// A process in a mount namespace of its own.
struct Holder(Child);

impl Holder {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command
            .args(["-m", "sh", "-c", "echo ready; exec sleep 1000"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut word = [0; 5];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut word).unwrap();
        Self(child)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn another_is_joined_by_path() {
    if !supported() {
        return;
    }
    let holder = Holder::new();
    let pid = holder.0.id();
    let mount = json!([{"type": "mount", "path": format!("/proc/{pid}/ns/mnt")}]);
    let bundle = without(with_volume(Bundle::shell(LOOK)), mount);
    assert_ne!(of(pid), of("self"));
    assert_eq!(bundle.run().good(), format!("{}\n{SEEN}", of(pid)));
    let bundle = bundle.set("/process/args", json!(["sleep", "100"]));
    let init = bundle.start();
    assert_eq!(of(init), of(pid));
    let text = bundle.exec(&["sh", "-c", "readlink /proc/self/ns/mnt; cat /data/file"]).good();
    assert_eq!(text, format!("{}\nvolume\n", of(pid)));
    assert!(!sees(pid, &bundle));
}

#[test]
fn a_terminal_and_a_closed_root_work_there_too() {
    if !supported() {
        return;
    }
    let holder = Holder::new();
    let mount = json!([{"type": "mount", "path": format!("/proc/{}/ns/mnt", holder.0.id())}]);
    let script = "tty; touch /x 2>/dev/null || echo read-only; test -c /dev/console && echo console";
    let bundle = without(Bundle::shell(script), mount)
        .set("/process/terminal", json!(true))
        .set("/root/readonly", json!(true));
    let text = bundle.run().good().replace('\r', "");
    assert_eq!(text, "/dev/pts/0\nread-only\nconsole\n");
}

#[test]
fn a_user_namespace_needs_its_own() {
    let bundle = without(Bundle::shell("true"), json!([{"type": "user"}]));
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let bundle = bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    assert!(bundle.run().bad().contains("needs a mount namespace of its own"));
}
