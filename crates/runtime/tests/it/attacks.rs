//! Images, volumes, specifications and processes that try to get out, or to keep others from their work.
//!
//! Each known flaw of other runtimes is tried here, and named where it is. Those that were races are tried a bounded
//! number of times, and what must hold does so whoever wins: nothing of the host is changed or seen.

mod accounts;
mod descriptors;
mod documents;
mod insiders;
mod kernel_files;
mod mount_places;
mod program_file;
mod protections;
mod records;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde_json::json;

use crate::bundle::{Bundle, Outcome, program};

/// The runtime's command, in a shell that does `before` first. One that hangs is killed after a minute.
fn prepared(bundle: &Bundle, wrapper: &[&str], before: &str, args: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "60"]).args(wrapper);
    command.args(["sh", "-c", &format!("{before}; exec \"$@\""), "sh"]).arg(program());
    command.arg("--root").arg(bundle.directory.join("state")).args(args).stdin(Stdio::null());
    command
}

/// [`prepared`], carried out.
fn after(bundle: &Bundle, before: &str, args: &[&str]) -> Outcome {
    Outcome::of(prepared(bundle, &[], before, args).output().unwrap())
}

/// Runs a container from a shell that does `before` first.
fn run_after(bundle: &Bundle, before: &str) -> Outcome {
    bundle.write();
    after(bundle, before, &["run", "-b", bundle.directory.to_str().unwrap(), &bundle.id])
}

/// Runs a container in a minute at most.
fn run_bounded(bundle: &Bundle) -> Outcome {
    run_after(bundle, "true")
}

fn await_that(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The text of a file, once the container has written all of it to `NAME.part` and renamed that.
fn written(path: &Path) -> String {
    await_that(&path.display().to_string(), || path.exists());
    std::fs::read_to_string(path).unwrap()
}

/// Gives the container's process all capabilities that there are.
fn with_all_capabilities(bundle: Bundle) -> Bundle {
    const NAMES: &str = "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE \
        NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE \
        SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE \
        AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF \
        CHECKPOINT_RESTORE";
    let names: Vec<String> = NAMES.split_whitespace().map(|name| format!("CAP_{name}")).collect();
    ["bounding", "effective", "permitted"]
        .into_iter()
        .fold(bundle, |bundle, set| bundle.set(&format!("/process/capabilities/{set}"), json!(names)))
}

/// Leaves a namespace out of the specification: the container is in the host's.
fn without_namespace(mut bundle: Bundle, kind: &str) -> Bundle {
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|entry| entry["type"] != kind);
    bundle
}

/// Leaves a mount out of the specification.
fn without_mount(mut bundle: Bundle, destination: &str) -> Bundle {
    bundle.spec["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != destination);
    bundle
}

/// Swaps two names over and over, until it is dropped: what another container does with a volume that both have.
struct Swapper {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Swapper {
    fn begin(one: PathBuf, other: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || std::thread::panicking(), "the names can be swapped");
    }
}
