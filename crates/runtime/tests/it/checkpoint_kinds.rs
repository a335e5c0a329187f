//! Kinds of containers that are saved and brought back: with a terminal, connections, locks, namespaces of all sorts.

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::bundle::{Bundle, Outcome};
use crate::checkpoint::{
    COUNT, checkpoint, count, counts_beyond, gone, restore, restore_command, state, usable,
};
use crate::terminal::{read_until, receive};

#[test]
fn a_terminal_has_a_new_master_and_its_old_settings() {
    if !usable() {
        return;
    }
    let script = "stty -echo rows 31 cols 97; echo ready; read line; stty size; echo got $line; sleep 1000";
    let bundle = Bundle::shell(script).set("/process/terminal", json!(true));
    bundle.write();
    let socket = bundle.directory.join("console.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut command = bundle.runtime(&["run", "-d", "--console-socket"]);
    let mut first = command.arg(&socket).arg("-b").arg(&bundle.directory).arg(&bundle.id).spawn().unwrap();
    let mut master = std::fs::File::from(receive(&listener));
    assert!(first.wait().unwrap().success());
    read_until(&mut master, "ready");
    checkpoint(&bundle, &[]).good();
    drop(master);
    let mut command = restore_command(&bundle, &["--detach", "--console-socket"]);
    let mut second = command.arg(&socket).arg(&bundle.id).spawn().unwrap();
    let mut master = std::fs::File::from(receive(&listener));
    assert!(second.wait().unwrap().success());
    master.write_all(b"word\n").unwrap();
    let text = read_until(&mut master, "got word");
    assert!(text.starts_with("31 97"), "{text}");
    bundle.command(&["delete", "--force", &bundle.id]).good();
}

#[test]
fn connections_are_saved_if_asked_for() {
    if !usable() {
        return;
    }
    // At the end of its input, nc leaves.
    let read =
        "sleep 1000 | nc -l -p 7000 | while read n; do echo $n > /tmp/next; mv /tmp/next /tmp/count; done";
    let write = "n=0; while true; do n=$((n+1)); echo $n; sleep 0.05; done";
    let listens = "until netstat -tln | grep -q :7000; do sleep 0.05; done";
    let script = format!("{read} & {listens}; {{ {write}; }} | nc 127.0.0.1 7000");
    let bundle = Bundle::shell(&script);
    for name in ["nc", "netstat"] {
        std::os::unix::fs::symlink("busybox", bundle.rootfs().join("bin").join(name)).unwrap();
    }
    bundle.start();
    counts_beyond(&bundle, 2);
    let error = checkpoint(&bundle, &[]).bad();
    assert!(error.contains("--tcp-established"), "{error}");
    counts_beyond(&bundle, count(&bundle));
    checkpoint(&bundle, &["--tcp-established"]).good();
    let stood = count(&bundle);
    restore(&bundle, &bundle.id, &["--tcp-established"]).good();
    counts_beyond(&bundle, stood);
}

/// What [`locks_are_saved_if_asked_for`] runs in its container: busybox has nothing that holds a lock.
#[test]
fn holder_of_a_lock() {
    let Some(path) = std::env::var_os("BARGE_TEST_LOCK") else { return };
    let file = std::fs::File::create(path).unwrap();
    file.try_lock().unwrap();
    for number in 1u64.. {
        std::fs::write("/tmp/next", number.to_string()).unwrap();
        std::fs::rename("/tmp/next", "/tmp/count").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn locks_are_saved_if_asked_for() {
    if !usable() {
        return;
    }
    let own = std::env::current_exe().unwrap();
    let bundle = Bundle::new(&["/test", "--exact", "checkpoint_kinds::holder_of_a_lock", "--test-threads=1"])
        .bind(&own, "/test", &["ro"])
        .set("/process/env", json!(["BARGE_TEST_LOCK=/tmp/lock"]));
    bundle.start();
    counts_beyond(&bundle, 2);
    let lock = std::fs::File::open(bundle.rootfs().join("tmp/lock")).unwrap();
    assert!(lock.try_lock_shared().is_err());
    let error = checkpoint(&bundle, &[]).bad();
    assert!(error.contains("lock"), "{error}");
    counts_beyond(&bundle, count(&bundle));
    checkpoint(&bundle, &["--file-locks"]).good();
    let stood = count(&bundle);
    assert!(lock.try_lock_shared().is_ok());
    lock.unlock().unwrap();
    restore(&bundle, &bundle.id, &["--file-locks"]).good();
    counts_beyond(&bundle, stood);
    assert!(lock.try_lock_shared().is_err());
}

#[test]
fn private_cgroups_stay_private() {
    if !usable() {
        return;
    }
    let mut bundle = Bundle::shell(COUNT);
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
    bundle.start();
    counts_beyond(&bundle, 2);
    checkpoint(&bundle, &[]).good();
    let stood = count(&bundle);
    restore(&bundle, &bundle.id, &[]).good();
    counts_beyond(&bundle, stood);
    let seen = bundle.exec(&["cat", "/proc/1/cgroup"]).good();
    assert!(!seen.contains(&bundle.id), "{seen}");
    let pids =
        if bundle.cgroup("pids").join("cgroup.procs").exists() { bundle.cgroup("pids") } else { panic!() };
    let pid = state(&bundle, &bundle.id)["pid"].to_string();
    assert!(std::fs::read_to_string(pids.join("cgroup.procs")).unwrap().lines().any(|line| line == pid));
}

#[test]
fn a_paused_container_is_saved_too() {
    if !usable() {
        return;
    }
    let bundle = Bundle::shell(COUNT);
    bundle.start();
    counts_beyond(&bundle, 2);
    bundle.command(&["pause", &bundle.id]).good();
    checkpoint(&bundle, &["--leave-running"]).good();
    assert_eq!(state(&bundle, &bundle.id)["status"], "paused");
    checkpoint(&bundle, &[]).good();
    let stood = count(&bundle);
    restore(&bundle, &bundle.id, &[]).good();
    assert_eq!(state(&bundle, &bundle.id)["status"], "running");
    counts_beyond(&bundle, stood);
}

#[test]
fn users_of_the_container_stay_mapped() {
    if !usable() {
        return;
    }
    let mut bundle = Bundle::shell(COUNT)
        .set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]))
        .set("/linux/gidMappings", json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]));
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    std::os::unix::fs::chown(bundle.rootfs().join("tmp"), Some(100_000), Some(100_000)).unwrap();
    bundle.start();
    counts_beyond(&bundle, 2);
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(bundle.directory.join("output"), PermissionsExt::from_mode(0o666)).unwrap();
    checkpoint(&bundle, &[]).good();
    let stood = count(&bundle);
    restore(&bundle, &bundle.id, &[]).good();
    counts_beyond(&bundle, stood);
    assert_eq!(bundle.exec(&["id", "-u"]).good(), "0\n");
}

/// A link of the host, while it is there: it ends with the network namespace that it was moved to.
struct Link(String);

impl Link {
    fn make(name: &str) -> Self {
        let made = Command::new("ip").args(["link", "add", name, "type", "veth"]).status();
        assert!(made.unwrap().success());
        Self(name.into())
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["link", "del", &self.0]).stderr(Stdio::null()).status();
    }
}

#[test]
fn links_are_moved_in_again() {
    if !usable() {
        return;
    }
    let name = format!("bd{}", std::process::id());
    let bundle = Bundle::shell(COUNT).set("/linux/netDevices", json!({&name: {"name": "inside"}}));
    let first = Link::make(&name);
    bundle.start();
    counts_beyond(&bundle, 2);
    checkpoint(&bundle, &[]).good();
    let stood = count(&bundle);
    // CRIU wants a stream that is a file as long as it was: an error must not land there.
    let error = Outcome::of(restore_command(&bundle, &[]).arg(&bundle.id).output().unwrap()).bad();
    assert!(error.contains("linux.netDevices"), "{error}");
    gone(&bundle);
    drop(first);
    let _second = Link::make(&name);
    restore(&bundle, &bundle.id, &[]).good();
    counts_beyond(&bundle, stood);
    assert!(bundle.exec(&["ip", "link"]).good().contains("inside"));
}
