//! A shim's beginning, and the end of a container whose shim has died.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use barge_runtime::Cgroup;
use barge_runtime::seal::SealedProgram;

use crate::supervise::load_spec;
use crate::{Config, Error, Result};

/// Spawns `exe shim BUNDLE` as `barge-shim`; returns the daemon's end of its control connection.
pub(super) fn spawn(exe: &Path, bundle: &Path) -> Result<(OwnedFd, Child)> {
    let failed = |source| Error::Spawn { exe: exe.to_owned(), source };
    let (ours, theirs) = barge_sys::socket::pair_seqpacket().map_err(failed)?;
    let path = bundle.join("shim.log");
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .map_err(|source| Error::Write { path, source })?;
    let mut command = Command::new(program(exe));
    // No pre_exec and no uid: std then takes posix_spawn, whose cost does not grow with the daemon's memory.
    command.arg0("barge-shim").arg("shim").arg(bundle);
    command.stdin(Stdio::from(theirs)).stdout(Stdio::null()).stderr(Stdio::from(log));
    let child = command.spawn().map_err(failed)?;
    Ok((ours, child))
}

/// What to execute for `exe`: a read-only way to the same file, because a process in a container can get at the file
/// of a shim's child through `/proc`. Kept for all shims; without the right to mount there is no such danger either.
fn program(exe: &Path) -> PathBuf {
    static SEALED: OnceLock<Option<(PathBuf, SealedProgram)>> = OnceLock::new();
    let sealed = SEALED.get_or_init(|| Some((exe.to_owned(), SealedProgram::open(exe).ok()?)));
    match sealed {
        Some((of, sealed)) if of == exe => sealed.path(),
        _ => exe.to_owned(),
    }
}

/// Kills what is left of a container whose shim has died without writing its exit file, and removes its cgroup.
///
/// Blocks for up to two seconds while the kernel ends the processes.
pub fn reclaim(bundle: &Path) -> Result<()> {
    let config = Config::load(bundle)?;
    let spec = load_spec(bundle)?;
    let cgroup = Cgroup::open(barge_runtime::cgroup_path(&spec, &config.id))?;
    // A frozen process does not die of SIGKILL on cgroup v1.
    cgroup.thaw()?;
    for _ in 0..100 {
        cgroup.signal_all(rustix::process::Signal::KILL.as_raw())?;
        if cgroup.procs()?.is_empty() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(cgroup.remove()?)
}
