//! Names that are no UTF-8: of processes, and of mounts of the host.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::bundle::{Bundle, Outcome, program};

/// The kernel cuts a process's name to 15 bytes, wherever that is.
#[test]
fn a_program_may_have_a_long_name_of_any_letters() {
    let name = "/bin/\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}";
    let bundle = Bundle::new(&[name]);
    let file = bundle.rootfs().join(&name[1..]);
    fs::write(&file, "#!/bin/sh\nread line < /tmp/pipe\n").unwrap();
    fs::set_permissions(&file, PermissionsExt::from_mode(0o755)).unwrap();
    let made = Command::new("busybox").arg("mkfifo").arg(bundle.rootfs().join("tmp/pipe")).status().unwrap();
    assert!(made.success());
    let pid = bundle.start();
    // It gets the name a moment after it has begun.
    let deadline = Instant::now() + Duration::from_secs(30);
    while str::from_utf8(&fs::read(format!("/proc/{pid}/comm")).unwrap()).is_ok() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(bundle.command(&["state", &bundle.id]).good().contains("\"running\""));
    assert_eq!(bundle.exec(&["echo", "added"]).good(), "added\n");
    for verb in ["pause", "resume"] {
        bundle.command(&[verb, &bundle.id]).good();
    }
    bundle.command(&["kill", &bundle.id, "KILL"]).good();
    bundle.command(&["delete", "--force", &bundle.id]).good();
}

/// A command where the host has a mount with such a name.
fn beside_odd_mount(bundle: &Bundle, args: &[&str]) -> Outcome {
    let place = bundle.directory.join(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir_all(&place).unwrap();
    let script = "mount -t tmpfs tmpfs \"$1\"; shift; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-ec", script, "sh"]).arg(place).arg(program());
    command.arg("--root").arg(bundle.directory.join("state")).args(args).stdin(Stdio::null());
    Outcome::of(command.output().unwrap())
}

#[test]
fn a_mount_of_the_host_may_have_any_name() {
    let bundle = Bundle::shell("echo good");
    bundle.write();
    let directory = bundle.directory.to_str().unwrap();
    assert_eq!(beside_odd_mount(&bundle, &["run", "--bundle", directory, &bundle.id]).good(), "good\n");
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let id = bundle.id.as_str();
    for (args, word) in [
        (vec!["state", id], "running"),
        (vec!["ps", "--format", "json", id], "["),
        (vec!["exec", id, "echo", "added"], "added"),
        (vec!["kill", "--all", id, "0"], ""),
        (vec!["list"], id),
        (vec!["delete", "--force", id], ""),
    ] {
        let outcome = beside_odd_mount(&bundle, &args);
        assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{args:?}");
        assert!(outcome.stdout.contains(word), "{args:?}: {outcome:?}");
    }
}
