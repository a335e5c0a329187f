//! User namespaces: their id maps, and those that exist only for a mapping.
//!
//! ```text
//! parent, in the user namespace of the host        child in a new one
//!  ├── /proc/PID/uid_map, gid_map (or newuidmap, newgidmap) ──>│
//! ```
//!
//! A mapping of a mount is named by a user namespace: [`of_maps`] makes one around a child that ends at once.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;

use barge_sys::mount::{Change, Reach, map_ids, set_attributes};
use barge_sys::namespace::kind;
use barge_sys::process::{CloneArgs, Cloned, clone3, exit_now};
use rustix::io::Errno;

use crate::create::reap;
use crate::error::{Error, Result};
use crate::init::mounts::clone_path;
use crate::plan::mount::{MountKind, MountPlan};
use crate::plan::{IdMaps, Plan, invalid};

/// Writes the maps of the user namespace that `pid` has made.
pub(crate) fn write_maps(pid: i32, ids: &IdMaps) -> Result<()> {
    write_map(pid, "uid_map", "newuidmap", &ids.uids)?;
    match write_own_group(pid, &ids.gids) {
        true => Ok(()),
        false => write_map(pid, "gid_map", "newgidmap", &ids.gids),
    }
}

/// Without privileges one may map one's own group, on giving up the right to change the supplementary ones: else
/// members of a group could shake off what is denied to it (user_namespaces(7)).
fn write_own_group(pid: i32, lines: &str) -> bool {
    let own = rustix::process::getegid().as_raw().to_string();
    let mut words = lines.split_whitespace().skip(1);
    if rustix::process::geteuid().is_root() || !(words.next() == Some(&own) && words.eq(["1"])) {
        return false;
    }
    let write = |file: &str, value: &str| fs::write(format!("/proc/{pid}/{file}"), value);
    write("setgroups", "deny").and_then(|()| write("gid_map", lines)).is_ok()
}

fn write_map(pid: i32, file: &str, tool: &str, lines: &str) -> Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    let failed = |error: std::io::Error| Error::IdMap { file: file.into(), pid, source: error.into() };
    match fs::write(format!("/proc/{pid}/{file}"), lines) {
        // Without CAP_SETUID only the tools of /etc/subuid may map more than one's own id.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let mut command = Command::new(tool);
            command.arg(pid.to_string()).args(lines.split_whitespace());
            match command.status() {
                Ok(status) if status.success() => Ok(()),
                _ => Err(failed(error)),
            }
        }
        result => result.map_err(failed),
    }
}

/// Refuses maps that are not those of the user namespace that `pid` is in. None at all go with every namespace.
pub(crate) fn compare_maps(pid: i32, wanted: &IdMaps) -> Result<()> {
    if *wanted == IdMaps::default() {
        return Ok(());
    }
    if IdMaps::of_process(pid)?.means(wanted) {
        return Ok(());
    }
    // Engines name both, so this is no error by itself; the words are runc's.
    let reason = "user namespaces enabled, but both namespace path and non-matching mapping specified -- you may \
                  only provide one";
    Err(invalid("linux.uidMappings", reason))
}

impl IdMaps {
    /// The maps of the user namespace that `pid` is in, as this process sees them.
    pub(crate) fn of_process(pid: i32) -> Result<Self> {
        let read = |file: &str| {
            let path = std::path::PathBuf::from(format!("/proc/{pid}/{file}"));
            fs::read_to_string(&path).map_err(|error| Error::File {
                operation: "read".into(),
                path,
                source: error.into(),
            })
        };
        Ok(Self { uids: read("uid_map")?, gids: read("gid_map")? })
    }

    /// Whether both map the same ids, line by line in any order and with any blanks.
    fn means(&self, other: &Self) -> bool {
        let lines = |text: &str| {
            let mut lines: Vec<Vec<String>> =
                text.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect();
            lines.sort();
            lines
        };
        lines(&self.uids) == lines(&other.uids) && lines(&self.gids) == lines(&other.gids)
    }
}

/// Whether this process is not the host's root: another user, or root of a user namespace only.
pub(crate) fn is_unprivileged() -> bool {
    let whole = |map: String| map.split_whitespace().eq(["0", "0", "4294967295"]);
    !rustix::process::geteuid().is_root()
        || fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| !whole(map))
}

/// A user namespace with these maps and nobody in it.
fn of_maps(ids: &IdMaps) -> Result<OwnedFd> {
    let (theirs, ours) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|errno| Error::Clone { source: errno.into() })?;
    let cloned = clone3(CloneArgs { namespaces: kind::USER, ..CloneArgs::default() });
    let (pid, pidfd) = match cloned.map_err(|error| Error::Clone { source: error.into() })? {
        Cloned::Child => {
            drop(ours);
            // The end of the parent's end: it has the namespace, or is dead.
            let _ = rustix::io::retry_on_intr(|| rustix::io::read(&theirs, &mut [0u8; 1]));
            exit_now(0)
        }
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    let path = std::path::PathBuf::from(format!("/proc/{pid}/ns/user"));
    let opened = write_maps(pid, ids).and_then(|()| {
        fs::File::open(&path).map(OwnedFd::from).map_err(|error| Error::NamespaceOpen {
            kind: "user".into(),
            path,
            source: error.into(),
        })
    });
    drop(ours);
    reap(&pidfd);
    opened
}

/// The sources of binds that the container's init could not open by itself, one for each mount of the plan: of
/// id-mapped ones, which need rights over the host's filesystems, of all when init is only root of its own user
/// namespace, to whom the host's directories may be closed, and of all that must not be mounted upon as they are.
pub(crate) fn open_sources(plan: &Plan, joined: Option<&OwnedFd>) -> Result<Vec<Option<OwnedFd>>> {
    let foreign = plan.namespaces.separate(kind::USER) || plan.namespaces.borrows_mounts();
    if !foreign && plan.mounts.iter().all(|mount| mount.id_map.is_none()) {
        return Ok(Vec::new());
    }
    let open = |mount: &MountPlan| match &mount.kind {
        MountKind::Bind { source, recursive } => {
            let tree = match clone_path(source, *recursive) {
                // Whoever has no rights here has them in the namespaces of init, and there is nothing closed to him
                // there that is not closed here.
                Err(Errno::PERM) if mount.id_map.is_none() => return Ok(None),
                Err(Errno::NOENT) => return Err(Error::BindSourceMissing { path: source.clone() }),
                tree => {
                    tree.map_err(|errno| Error::BindSource { path: source.clone(), source: errno.into() })?
                }
            };
            map(plan, mount, &tree, source, joined)?;
            // As if it were taken in the container's namespace, which has this propagation by then.
            let change = Change { propagation: plan.root.propagation.kind, ..Change::default() };
            set_attributes(tree.as_fd(), Reach::Tree, change)
                .map_err(|error| Error::Propagation { path: source.clone(), source: error.into() })?;
            Ok(Some(tree))
        }
        _ => Ok(None),
    };
    plan.mounts.iter().map(open).collect()
}

fn map(plan: &Plan, mount: &MountPlan, tree: &OwnedFd, path: &Path, joined: Option<&OwnedFd>) -> Result<()> {
    let Some(wanted) = &mount.id_map else { return Ok(()) };
    let made;
    let mapping = match (&wanted.own, joined) {
        (None, Some(namespace)) => namespace,
        (own, _) => {
            let ids = own.as_ref().unwrap_or(&plan.ids);
            if ids.uids.is_empty() || ids.gids.is_empty() {
                let reason = format!(
                    "{}: idmap without mappings needs a container with a user namespace",
                    mount.destination.display()
                );
                return Err(invalid("mounts", reason));
            }
            made = of_maps(ids)?;
            &made
        }
    };
    let reach = if wanted.recursive { Reach::Tree } else { Reach::Mount };
    map_ids(tree.as_fd(), reach, mapping.as_fd())
        .map_err(|error| Error::IdMappedMount { path: path.into(), source: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_the_same_in_any_order_and_with_any_blanks() {
        let maps = |uids: &str, gids: &str| IdMaps { uids: uids.into(), gids: gids.into() };
        let kernels = maps("         0     100000      65536\n     65536          7          1\n", "0 5 1\n");
        assert!(kernels.means(&maps("65536 7 1\n0 100000 65536\n", "0 5 1\n")));
        assert!(!kernels.means(&maps("0 100000 65536\n", "0 5 1\n")));
        assert!(!kernels.means(&maps("65536 7 1\n0 100000 65536\n", "0 6 1\n")));
        assert!(!kernels.means(&maps("", "")));
    }
}
