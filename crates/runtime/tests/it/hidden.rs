//! A user's containers where `/proc` hides processes (`hidepid=2`): also init, before it is the container's program.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::{Value, json};

use crate::bundle::Outcome;
use crate::rootless::{Own, USER};

/// `None` where there is nothing to become the user with. The reason is not captured.
fn own(script: &str) -> Option<Own> {
    let user = USER.to_string();
    let there = Command::new("setpriv").args(["--reuid", &user, "--clear-groups", "true"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        let _ = std::io::stderr().write_all(b"skipped: needs setpriv of util-linux\n");
        return None;
    }
    Own::shell(script).inspect(|own| own.bundle.write())
}

/// The runtime as the user whose `/proc` hides. The output is in a file, which a container may keep open.
fn hidden(own: &Own, args: &[&str]) -> Outcome {
    let script = "mount -t proc -o hidepid=2 proc /proc; user=$1; shift; \
                  exec setpriv --reuid $user --regid $user --clear-groups \"$@\"";
    let output = own.bundle.directory.join("output");
    let file = fs::File::create(&output).unwrap();
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", script, "sh", &USER.to_string()]).arg(&own.program);
    command.args(["--root", "state"]).args(args).current_dir(&own.bundle.directory).stdin(Stdio::null());
    let status = command.stdout(file.try_clone().unwrap()).stderr(file).status().unwrap();
    let text = fs::read_to_string(output).unwrap();
    Outcome { code: status.code().unwrap_or(-1), stdout: text.clone(), stderr: text }
}

fn status(own: &Own) -> Value {
    let text = hidden(own, &["state", &own.bundle.id]).good();
    serde_json::from_str::<Value>(&text).unwrap()["status"].clone()
}

fn await_that(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn record(own: &Own) -> PathBuf {
    own.bundle.directory.join("state").join(&own.bundle.id).join("state.json")
}

fn change(own: &Own, name: &str, value: Value) {
    let mut record_of: Value = serde_json::from_slice(&fs::read(record(own)).unwrap()).unwrap();
    record_of[name] = value;
    fs::write(record(own), record_of.to_string()).unwrap();
}

#[test]
fn a_container_lives_from_its_creation_to_its_end() {
    let Some(own) = own("echo begun > /tmp/begun; sleep 1000") else { return };
    let id = own.bundle.id.as_str();
    hidden(&own, &["create", id]).good();
    assert_eq!(status(&own), "created");
    assert!(hidden(&own, &["list"]).good().contains(id));
    hidden(&own, &["start", id]).good();
    assert_eq!(status(&own), "running");
    // Nobody is added before init has become its program.
    await_that("its program", || own.bundle.rootfs().join("tmp/begun").exists());
    assert_eq!(hidden(&own, &["exec", id, "echo", "added"]).good(), "added\n");
    assert!(hidden(&own, &["delete", id]).bad().contains("that is not stopped: running"));
    hidden(&own, &["kill", id, "KILL"]).good();
    await_that("its end", || status(&own) == "stopped");
    hidden(&own, &["delete", id]).good();
    assert!(hidden(&own, &["state", id]).bad().contains("does not exist"));
    assert_eq!(hidden(&own, &["run", "--detach", id]).good(), "");
    hidden(&own, &["delete", "--force", id]).good();
}

#[test]
fn one_that_was_created_in_sight_lives_out_of_sight() {
    let Some(own) = own("sleep 1000") else { return };
    let id = own.bundle.id.as_str();
    let output = fs::File::create(own.bundle.directory.join("output")).unwrap();
    let mut create = own.command(&["create", "--pid-file", "pid", id]);
    assert!(create.stdout(output.try_clone().unwrap()).stderr(output).status().unwrap().success());
    let pid = fs::read_to_string(own.bundle.directory.join("pid")).unwrap().parse().unwrap();
    let held = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
    assert_eq!(status(&own), "created");
    hidden(&own, &["delete", id]).good();
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let ended = poll(&mut [PollFd::new(&held, PollFlags::IN)], Some(&now)).unwrap();
    assert_eq!(ended, 1, "it does not live on without a record");
}

/// A process of root's, which the user can neither see nor signal.
struct Stranger(Child);

impl Drop for Stranger {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_stranger_with_its_number_is_not_the_container() {
    let stranger = Stranger(Command::new("sleep").arg("1000").spawn().unwrap());
    let Some(own) = own("sleep 1000") else { return };
    let id = own.bundle.id.as_str();
    hidden(&own, &["create", id]).good();
    let record_of: Value = serde_json::from_slice(&fs::read(record(&own)).unwrap()).unwrap();
    let (pid, inode) = (record_of["pid"].clone(), record_of["pidfdInode"].as_u64().unwrap());
    change(&own, "pidfdInode", json!(inode + 1));
    assert_eq!(status(&own), "stopped", "another process with this number");
    change(&own, "pidfdInode", json!(inode));
    assert_eq!(status(&own), "created");
    change(&own, "pid", json!(stranger.0.id()));
    assert_eq!(status(&own), "stopped");
    change(&own, "pid", pid);
    hidden(&own, &["delete", "--force", id]).good();
}
