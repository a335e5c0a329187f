//! The runtime's own program file, reached from inside a container (CVE-2019-5736).
//!
//! What got hold of `/proc/PID/exe` waited until nobody ran the file any more, and wrote to it. Here it is a copy that
//! nobody misses, and "nobody runs it" is waited for, not raced for.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::fs::OFlags;
use rustix::io::Errno;
use serde_json::json;

use super::{await_that, with_all_capabilities, without_namespace, written};
use crate::bundle::{Bundle, program};

/// A copy of the runtime, to be attacked.
struct Decoy {
    file: PathBuf,
    length: u64,
}

impl Decoy {
    fn of(bundle: &Bundle) -> Self {
        let file = bundle.directory.join("decoy");
        // By another process: one that a test beside this one starts would inherit the file while it is being written, and
        // what somebody can write to can't be executed.
        assert!(Command::new("cp").arg(program()).arg(&file).status().unwrap().success());
        Self { length: fs::metadata(&file).unwrap().len(), file }
    }

    fn command(&self, bundle: &Bundle, args: &[&str]) -> Command {
        let mut command = Command::new(&self.file);
        command.arg("--root").arg(bundle.directory.join("state")).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn assert_whole(&self) {
        assert_eq!(fs::metadata(&self.file).unwrap().len(), self.length);
    }
}

/// Writes through descriptor 9 until it is known whether that works.
const WRITE: &str = "i=0; while [ $i -lt 500 ]; do \
      (echo evil > /proc/self/fd/9) 2> /tmp/why && echo written > /tmp/out.part && break; \
      grep -q Read-only /tmp/why && echo read-only > /tmp/out.part && break; \
      cp /tmp/why /tmp/out.part; sleep 0.02; i=$((i+1)); \
    done; mv /tmp/out.part /tmp/out";

/// A pipe that takes nothing any more: whoever writes to it stands still.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[0; 4096]) != Err(Errno::AGAIN) {}
    rustix::fs::fcntl_setfl(&writer, OFlags::empty()).unwrap();
    (reader, writer)
}

/// A script of the image that is interpreted by whatever runs it. Its name is that of its process too.
fn evil_script(bundle: &Bundle) -> String {
    let name = bundle.id.replacen("it-", "e", 1);
    let file = bundle.rootfs().join(&name);
    fs::write(&file, "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    name
}

/// Takes hold of the program of the process `name`, ends it, and writes.
fn attack(bundle: &Bundle, name: &str) -> String {
    let find = format!(
        "until [ \"$p\" ]; do for d in /proc/[0-9]*; do \
           [ \"$(cat $d/comm 2>/dev/null)\" = {name} ] && case $(readlink $d/exe) in *busybox|'') ;; *) p=$d;; esac; \
         done; done; \
         exec 9< $p/exe || exit 3; mount -o remount,bind,rw $p/exe 2>/dev/null; kill -9 ${{p#/proc/}}; \
         while readlink $p/exe > /dev/null; do :; done; {WRITE}"
    );
    bundle.exec(&["sh", "-c", &find]).good();
    fs::read_to_string(bundle.rootfs().join("tmp/out")).unwrap()
}

fn end(mut child: Child) {
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn a_script_that_is_run_by_exec_gets_no_writable_runtime() {
    let bundle = Bundle::shell("sleep 100");
    let (decoy, name) = (Decoy::of(&bundle), evil_script(&bundle));
    bundle.start();
    // What the runtime says, interpreting the script, goes nowhere: it stays as long as we like.
    let (_reader, writer) = full_pipe();
    let mut command = decoy.command(&bundle, &["exec", &bundle.id, &format!("/{name}")]);
    let child = command.stderr(writer).spawn().unwrap();
    assert_eq!(attack(&bundle, &name), "read-only\n");
    end(child);
    decoy.assert_whole();
}

#[test]
fn a_script_that_is_a_containers_init_gets_no_writable_runtime() {
    // Others in the container can end its init only where it is not process 1.
    let bundle = without_namespace(Bundle::shell("sleep 100"), "pid");
    let (decoy, name) = (Decoy::of(&bundle), evil_script(&bundle));
    let bundle = bundle.set("/process/args", json!([format!("/{name}")]));
    bundle.write();
    let (_reader, writer) = full_pipe();
    let place = bundle.directory.to_str().unwrap();
    let mut command = decoy.command(&bundle, &["run", "-d", "-b", place, &bundle.id]);
    let child = command.stderr(writer).spawn().unwrap();
    await_that("the container", || bundle.command(&["state", &bundle.id]).stdout.contains("running"));
    assert_eq!(attack(&bundle, &name), "read-only\n");
    end(child);
    decoy.assert_whole();
}

#[test]
fn a_privileged_neighbour_of_the_runtimes_process_gets_no_writable_runtime() {
    let bundle = with_all_capabilities(without_namespace(Bundle::shell("sleep 100"), "pid"));
    let decoy = Decoy::of(&bundle);
    bundle.start();
    let script = format!(
        "p=/proc/$PPID; exec 9< $p/exe || exit 3; mount -o remount,bind,rw $p/exe 2>/dev/null; \
         kill -9 $PPID; while readlink $p/exe > /dev/null; do :; done; {WRITE}"
    );
    let child = decoy.command(&bundle, &["exec", &bundle.id, "sh", "-c", &script]).spawn().unwrap();
    assert_eq!(written(&bundle.rootfs().join("tmp/out")), "read-only\n");
    end(child);
    decoy.assert_whole();
}

/// CVE-2019-5736: a container whose program is the runtime's own file, and one that gets hold of it and writes.
#[test]
fn the_runtimes_file_can_not_be_written_from_inside() {
    let before = fs::metadata(program()).unwrap();
    let bundle = Bundle::new(&["/proc/self/exe", "features"]);
    // Whatever it does, it does as a container's process.
    let _ = bundle.run();
    // In subshells: a failed redirection of `exec` ends the shell.
    let script = "while true; do for p in /proc/[0-9]*; do \
                    case $(readlink $p/exe) in */busybox) continue;; esac; \
                    (exec 9<$p/exe && echo found >> /tmp/seen && \
                     (echo evil > /proc/self/fd/9) && echo written >> /tmp/seen) 2>/dev/null; \
                  done; done";
    let bundle = Bundle::shell(script);
    bundle.start();
    for _ in 0..10 {
        bundle.exec(&["true"]).good();
    }
    let seen = fs::read_to_string(bundle.rootfs().join("tmp/seen")).unwrap_or_default();
    assert!(!seen.contains("written"), "{seen}");
    let after = fs::metadata(program()).unwrap();
    assert_eq!((before.len(), before.modified().unwrap()), (after.len(), after.modified().unwrap()));
}

#[test]
fn the_container_can_not_look_into_a_process_on_its_way_in() {
    // With ptrace even: the file is on a read-only mount then.
    let script = "while true; do for p in /proc/[0-9]*; do \
                    case $(readlink $p/exe) in */busybox|'') ;; *) (echo evil > $p/exe) 2>&1;; esac; done; done > /tmp/seen 2>&1";
    let mut bundle = Bundle::shell(script);
    for set in ["bounding", "effective", "permitted"] {
        bundle.spec["process"]["capabilities"][set].as_array_mut().unwrap().push(json!("CAP_SYS_PTRACE"));
    }
    let before = fs::metadata(program()).unwrap().modified().unwrap();
    bundle.start();
    for _ in 0..10 {
        bundle.exec(&["true"]).good();
    }
    assert_eq!(fs::metadata(program()).unwrap().modified().unwrap(), before);
}
