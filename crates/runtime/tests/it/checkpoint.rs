//! Containers that are saved and brought back, by CRIU on a kernel that it works with.
//!
//! `BARGE_TEST_CRIU` names another CRIU than the one in `PATH`. Where `criu check` finds that the kernel is not for it
//! (Debian's 3.17 knows no Linux 6.18), only the refusal can be tested.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bundle::{Bundle, Outcome};

fn program() -> PathBuf {
    std::env::var_os("BARGE_TEST_CRIU").map_or_else(|| "criu".into(), PathBuf::from)
}

/// Whether there are tests to be done; says why not.
pub(crate) fn usable() -> bool {
    static USABLE: OnceLock<bool> = OnceLock::new();
    let usable = *USABLE.get_or_init(|| check(&["check"]));
    if !usable {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: CRIU is missing or can't work with this kernel (criu check)"
        );
    }
    usable
}

fn check(args: &[&str]) -> bool {
    let output = Command::new(program()).args(args).stdin(Stdio::null()).output();
    output.is_ok_and(|output| output.status.success())
}

/// A script that counts into a file of its own, so that nothing depends on how fast it is.
pub(crate) const COUNT: &str =
    "n=0; while true; do n=$((n+1)); echo $n > /tmp/next; mv /tmp/next /tmp/count; sleep 0.05; done";

/// Waits until `wanted` says so of something that may take its time.
#[track_caller]
pub(crate) fn eventually(what: &str, mut wanted: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !wanted() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(crate) fn count(bundle: &Bundle) -> u64 {
    let text = std::fs::read_to_string(bundle.rootfs().join("tmp/count")).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

#[track_caller]
pub(crate) fn counts_beyond(bundle: &Bundle, number: u64) {
    eventually(&format!("it stands at {} (after {number})", count(bundle)), || count(bundle) > number);
}

pub(crate) fn images(bundle: &Bundle) -> PathBuf {
    bundle.directory.join("images")
}

pub(crate) fn checkpoint(bundle: &Bundle, flags: &[&str]) -> Outcome {
    Outcome::of(checkpoint_command(bundle, flags).output().unwrap())
}

pub(crate) fn checkpoint_command(bundle: &Bundle, flags: &[&str]) -> Command {
    let mut command = bundle.runtime(&["--criu", program().to_str().unwrap(), "checkpoint", "--image-path"]);
    command.arg(images(bundle)).args(flags).arg(&bundle.id);
    command
}

/// A command that brings the container back as `id`, without its last argument.
pub(crate) fn restore_command(bundle: &Bundle, flags: &[&str]) -> Command {
    restore_command_with(bundle, &[], flags)
}

fn restore_command_with(bundle: &Bundle, globals: &[&str], flags: &[&str]) -> Command {
    let mut command = bundle.runtime(globals);
    command.arg("--criu").arg(program()).args(["restore", "--image-path"]);
    command.arg(images(bundle)).arg("--bundle").arg(&bundle.directory).args(flags);
    command
}

/// Restores in the background, with the streams that [`Bundle::start`] gives.
pub(crate) fn restore(bundle: &Bundle, id: &str, flags: &[&str]) -> Outcome {
    restore_with(bundle, &[], id, flags)
}

/// As [`restore`], with flags before the verb.
pub(crate) fn restore_with(bundle: &Bundle, globals: &[&str], id: &str, flags: &[&str]) -> Outcome {
    let output = std::fs::OpenOptions::new().append(true).open(bundle.directory.join("output")).unwrap();
    let mut command = restore_command_with(bundle, globals, flags);
    let status = command.args(["--detach", id]).stdout(output.try_clone().unwrap()).stderr(output).status();
    let log = std::fs::read_to_string(images(bundle).join("restore.log")).unwrap_or_default();
    let stderr = if status.as_ref().unwrap().success() {
        String::new()
    } else {
        bundle.output()
            + &log
                .lines()
                .filter(|line| line.contains("Error") || line.contains("Warn"))
                .collect::<Vec<_>>()
                .join("\n")
    };
    Outcome { code: status.unwrap().code().unwrap_or(-1), stdout: String::new(), stderr }
}

pub(crate) fn state(bundle: &Bundle, id: &str) -> Value {
    serde_json::from_str(&bundle.command(&["state", id]).good()).unwrap()
}

pub(crate) fn gone(bundle: &Bundle) {
    assert!(bundle.command(&["state", &bundle.id]).bad().contains("does not exist"));
    assert!(!bundle.cgroup("pids").exists());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(bundle.directory.to_str().unwrap()), "{mounts}");
}

#[test]
fn a_restored_container_goes_on_with_its_mounts_and_takes_all_commands() {
    if !usable() {
        return;
    }
    let source = std::env::temp_dir().join(format!("barge-checkpoint-{}", std::process::id()));
    std::fs::create_dir_all(source.join("inner")).unwrap();
    let bundle = Bundle::shell(&format!("echo kept > /dev/shm/kept; {COUNT}"))
        .bind(&source, "/link/bound", &["rw"])
        .bind(Path::new("/etc/passwd"), "/link/bound/inner/file", &["ro"])
        .set("/linux/resources/pids", json!({"limit": 50}));
    std::os::unix::fs::symlink("/real", bundle.rootfs().join("link")).unwrap();
    bundle.start();
    counts_beyond(&bundle, 3);
    for _ in 0..2 {
        let before = count(&bundle);
        checkpoint(&bundle, &[]).good();
        gone(&bundle);
        let stood = count(&bundle);
        assert!(stood >= before);
        let pid_file = bundle.directory.join("restored.pid");
        restore(&bundle, &bundle.id, &["--pid-file", pid_file.to_str().unwrap()]).good();
        counts_beyond(&bundle, stood);
        let told = state(&bundle, &bundle.id);
        assert_eq!(told["status"], "running");
        assert_eq!(told["pid"].to_string(), std::fs::read_to_string(pid_file).unwrap());
        let script = "cat /dev/shm/kept; echo x > /link/bound/new; grep -c root: /link/bound/inner/file; \
                      cat /proc/keys | wc -c; hostname";
        assert_eq!(bundle.exec(&["sh", "-c", script]).good(), "kept\n1\n0\ninside\n");
        assert!(source.join("new").exists());
        let events: Value =
            serde_json::from_str(&bundle.command(&["events", "--stats", &bundle.id]).good()).unwrap();
        assert_eq!(events["data"]["pids"]["limit"], 50);
    }
    bundle.command(&["pause", &bundle.id]).good();
    assert_eq!(state(&bundle, &bundle.id)["status"], "paused");
    bundle.command(&["resume", &bundle.id]).good();
    bundle.command(&["kill", &bundle.id, "KILL"]).good();
    eventually("it is still there", || state(&bundle, &bundle.id)["status"] == "stopped");
    bundle.command(&["delete", &bundle.id]).good();
    gone(&bundle);
    std::fs::remove_dir_all(source).unwrap();
}

#[test]
fn a_container_left_running_gets_a_twin_of_another_name() {
    if !usable() {
        return;
    }
    let bundle = Bundle::shell(COUNT);
    bundle.start();
    counts_beyond(&bundle, 2);
    let pid = state(&bundle, &bundle.id)["pid"].clone();
    let work = bundle.directory.join("work");
    let mode = ["--manage-cgroups-mode", "ignore", "--work-path", work.to_str().unwrap()];
    checkpoint(&bundle, &[&mode[..], &["--leave-running"]].concat()).good();
    assert!(work.join("dump.log").exists());
    let told = state(&bundle, &bundle.id);
    assert_eq!((&told["status"], &told["pid"]), (&json!("running"), &pid));
    counts_beyond(&bundle, count(&bundle));
    let twin = format!("{}-twin", bundle.id);
    for (id, words) in [(&bundle.id, "already exists"), (&twin, "container's cgroup is not empty")] {
        let refused = Outcome::of(restore_command(&bundle, &[]).arg(id).output().unwrap()).bad();
        assert!(refused.contains(words), "{refused}");
    }
    let bundle = bundle.set("/linux/cgroupsPath", json!(format!("/barge-{twin}")));
    bundle.write();
    restore(&bundle, &twin, &mode).good();
    assert_eq!(state(&bundle, &twin)["status"], "running");
    let cgroup = std::fs::read_to_string(format!("/proc/{}/cgroup", state(&bundle, &twin)["pid"])).unwrap();
    assert!(cgroup.contains(&format!("/barge-{twin}")), "{cgroup}");
    bundle.command(&["delete", "--force", &twin]).good();
    assert_eq!(state(&bundle, &bundle.id)["status"], "running");
}

#[test]
fn memory_saved_before_is_not_saved_again() {
    if !usable() {
        return;
    }
    if !check(&["check", "--feature", "mem_dirty_track"]) {
        let _ = writeln!(std::io::stderr(), "skipped: the kernel does not track changed memory");
        return;
    }
    let bundle = Bundle::shell(COUNT);
    bundle.start();
    counts_beyond(&bundle, 2);
    let parent = bundle.directory.join("parent");
    let refused = checkpoint(&bundle, &["--parent-path", parent.to_str().unwrap()]).bad();
    assert!(refused.contains("--parent-path must be relative"), "{refused}");
    let refused = checkpoint(&bundle, &["--parent-path", "../parent"]).bad();
    assert!(refused.contains("invalid --parent-path"), "{refused}");
    let mut command = bundle.runtime(&["--criu", program().to_str().unwrap(), "checkpoint", "--pre-dump"]);
    command.arg("--image-path").arg(&parent).arg(&bundle.id);
    Outcome::of(command.output().unwrap()).good();
    counts_beyond(&bundle, count(&bundle));
    checkpoint(&bundle, &["--parent-path", "../parent"]).good();
    assert!(images(&bundle).join("parent").exists());
    let stood = count(&bundle);
    restore(&bundle, &bundle.id, &[]).good();
    counts_beyond(&bundle, stood);
}

#[test]
fn pipes_are_replaced_by_our_own_and_the_exit_code_is_the_containers() {
    if !usable() {
        return;
    }
    let bundle = Bundle::shell("echo first; read line; echo got $line; exit 7");
    bundle.write();
    let mut command = bundle.runtime(&["run", "--detach", "--bundle"]);
    command.arg(&bundle.directory).arg(&bundle.id).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut first = command.stderr(Stdio::null()).spawn().unwrap();
    let mut word = [0u8; 6];
    first.stdout.as_mut().unwrap().read_exact(&mut word).unwrap();
    assert_eq!(&word, b"first\n");
    let writer = first.stdin.take();
    assert!(first.wait().unwrap().success());
    checkpoint(&bundle, &[]).good();
    drop((writer, first));
    let mut command = restore_command(&bundle, &[]);
    command.arg(&bundle.id).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut second = command.spawn().unwrap();
    second.stdin.take().unwrap().write_all(b"word\n").unwrap();
    let outcome = Outcome::of(second.wait_with_output().unwrap());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (7, "got word\n"), "{outcome:?}");
    gone(&bundle);
}

#[test]
fn joined_namespaces_are_joined_again() {
    if !usable() {
        return;
    }
    let owner = Bundle::shell("sleep 1000");
    let network = format!("/proc/{}/ns/net", owner.start());
    let bundle = Bundle::shell(COUNT).set("/linux/namespaces/2", json!({"type": "network", "path": network}));
    bundle.start();
    counts_beyond(&bundle, 2);
    checkpoint(&bundle, &[]).good();
    restore(&bundle, &bundle.id, &[]).good();
    let restored = format!("/proc/{}/ns/net", state(&bundle, &bundle.id)["pid"]);
    assert_eq!(std::fs::read_link(restored).unwrap(), std::fs::read_link(network).unwrap());
}

#[test]
fn a_restore_that_fails_leaves_nothing() {
    if !usable() {
        return;
    }
    let bundle = Bundle::shell(COUNT);
    bundle.start();
    counts_beyond(&bundle, 2);
    let leave = checkpoint(&bundle, &["--leave-running"]);
    leave.good();
    bundle.command(&["delete", "--force", &bundle.id]).good();
    // A hook of the specification says no when the namespaces are there.
    let bundle = bundle.set("/hooks/createRuntime", json!([{"path": "/bin/busybox", "args": ["false"]}]));
    bundle.write();
    let error = restore(&bundle, &bundle.id, &[]).bad();
    assert!(error.contains("createRuntime hook #0"), "{error}");
    gone(&bundle);
    // Images that are not whole.
    let bundle = bundle.set("/hooks", json!({}));
    bundle.write();
    std::fs::remove_file(images(&bundle).join("pstree.img")).unwrap();
    let error = restore(&bundle, &bundle.id, &[]).bad();
    assert!(error.contains("criu failed: type RESTORE") && error.contains("images/restore.log"), "{error}");
    gone(&bundle);
}

#[test]
fn a_restore_that_is_killed_can_be_cleared_and_tried_again() {
    if !usable() {
        return;
    }
    let bundle = Bundle::shell(COUNT);
    bundle.start();
    counts_beyond(&bundle, 2);
    checkpoint(&bundle, &[]).good();
    let stood = count(&bundle);
    let (reached, gate) = (bundle.directory.join("reached"), bundle.directory.join("gate"));
    let mode = rustix::fs::Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &gate, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let mut gate_file = std::fs::OpenOptions::new().read(true).write(true).open(&gate).unwrap();
    let script = format!("echo > {}; read line < {}", reached.display(), gate.display());
    let hook = json!([{"path": "/bin/busybox", "args": ["sh", "-c", script]}]);
    let bundle = bundle.set("/hooks/createRuntime", hook);
    bundle.write();
    let mut command = restore_command(&bundle, &["--detach"]);
    let errors = std::fs::File::create(bundle.directory.join("errors")).unwrap();
    let mut child = command.arg(&bundle.id).stdout(Stdio::null()).stderr(errors).spawn().unwrap();
    eventually("the hook does not run", || {
        let ended = child.try_wait().unwrap();
        let said = || std::fs::read_to_string(bundle.directory.join("errors"));
        assert!(ended.is_none(), "{ended:?}: {:?}", said());
        reached.exists()
    });
    child.kill().unwrap();
    child.wait().unwrap();
    gate_file.write_all(b"go\n").unwrap();
    let processes = bundle.cgroup("pids").join("cgroup.procs");
    eventually("its processes stay", || {
        std::fs::read_to_string(&processes).unwrap_or_default().trim().is_empty()
    });
    bundle.command(&["delete", "--force", &bundle.id]).good();
    gone(&bundle);
    gate_file.write_all(b"go\n").unwrap();
    restore(&bundle, &bundle.id, &[]).good();
    counts_beyond(&bundle, stood);
}

#[test]
fn a_checkpoint_that_fails_leaves_the_container_running() {
    if !usable() {
        return;
    }
    // A file that is open and has another name than it had: CRIU gives it a new one only if it may.
    let lost = "echo text > /tmp/old; ln /tmp/old /tmp/new; exec 9</tmp/old; rm /tmp/old";
    let bundle = Bundle::shell(&format!("{lost}; {COUNT}"));
    bundle.start();
    counts_beyond(&bundle, 2);
    let error = checkpoint(&bundle, &[]).bad();
    assert!(error.contains("criu failed: type DUMP") && error.contains("images/dump.log"), "{error}");
    assert!(error.contains("Error (criu/"), "{error}");
    assert_eq!(state(&bundle, &bundle.id)["status"], "running");
    counts_beyond(&bundle, count(&bundle));
    checkpoint(&bundle, &["--link-remap"]).good();
    let stood = count(&bundle);
    restore(&bundle, &bundle.id, &[]).good();
    counts_beyond(&bundle, stood);
}
