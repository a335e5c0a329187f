//! The root filesystem as CRIU wants it for a restore, in a mount namespace that ends with CRIU.
//!
//! ```text
//! 1  the host's mounts stop propagating our changes
//! 2  the root, mounted at `place`; destinations that are missing are made, binds attached so that
//!    those inside of them can be made too; all of this unmounted again
//! 3  the root, mounted at `place` as it is: CRIU asks for a mount point, and mounts the rest itself
//! ```
//!
//! Nothing of it is ever seen on the host but the new directories and files, which creating the container had made.

use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, FileType};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, UnmountFlags};

use crate::error::{Error, Result};
use crate::init::mounts::{attach, clone_path};
use crate::init::target::{RootDirectory, file_type};
use crate::plan::mount::{MountKind, MountPlan};

/// Puts the root filesystem at `place`, an empty directory of the host. `bundle` is where relative sources begin.
pub(super) fn prepare(rootfs: &Path, place: &Path, mounts: &[MountPlan], bundle: &Path) -> Result<()> {
    let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", slave)
        .map_err(|errno| Error::Propagation { path: "/".into(), source: errno.into() })?;
    let root = RootDirectory::new(put(rootfs, place)?);
    mounts
        .iter()
        .filter(|mount| needs_place(mount, mounts))
        .try_for_each(|mount| make(&root, mount, bundle))?;
    rustix::mount::unmount(place, UnmountFlags::DETACH)
        .map_err(|errno| Error::RootFs { path: place.into(), source: errno.into() })?;
    put(rootfs, place).map(drop)
}

fn put(rootfs: &Path, place: &Path) -> Result<OwnedFd> {
    let failed = |errno: Errno| Error::RootFs { path: rootfs.into(), source: errno.into() };
    let tree = clone_path(rootfs, true).map_err(failed)?;
    let from = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    rustix::mount::move_mount(&tree, "", CWD, place, from).map_err(failed)?;
    Ok(tree)
}

/// CRIU brings the contents of every tmpfs itself, and places for cgroups are in one or come with `/sys`.
fn needs_place(mount: &MountPlan, all: &[MountPlan]) -> bool {
    let hides = |other: &MountPlan| {
        let is_tmpfs = matches!(&other.kind, MountKind::Filesystem { kind, .. } if kind == "tmpfs");
        is_tmpfs
            && mount.destination != other.destination
            && mount.destination.starts_with(&other.destination)
    };
    mount.kind != MountKind::Cgroup && !all.iter().any(hides)
}

fn make(root: &RootDirectory, mount: &MountPlan, bundle: &Path) -> Result<()> {
    let failed =
        |errno: Errno| Error::MountTarget { target: mount.destination.clone(), source: errno.into() };
    let MountKind::Bind { source, recursive } = &mount.kind else {
        return root.directory(&mount.destination).map(drop).map_err(failed);
    };
    let source = bundle.join(source);
    let tree = clone_path(&source, *recursive).map_err(|errno| match errno {
        Errno::NOENT => Error::BindSourceMissing { path: source.clone() },
        errno => Error::BindSource { path: source.clone(), source: errno.into() },
    })?;
    let is_directory = file_type(&tree).map_err(failed)? == FileType::Directory;
    let place = if is_directory { root.directory(&mount.destination) } else { root.file(&mount.destination) };
    place.and_then(|place| attach(&tree, &place)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_made_where_nobody_else_makes_them() {
        let mounts: Vec<barge_oci::runtime_spec::Mount> = serde_json::from_str(
            r#"[
            {"destination":"/proc","type":"proc","source":"proc"},
            {"destination":"/dev","type":"tmpfs","source":"tmpfs"},
            {"destination":"/dev/pts","type":"devpts","source":"devpts"},
            {"destination":"/devices","type":"bind","source":"/x","options":["bind"]},
            {"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup"}
        ]"#,
        )
        .unwrap();
        let plans: Vec<MountPlan> = mounts.iter().map(|mount| MountPlan::of(mount).unwrap()).collect();
        let needed: Vec<bool> = plans.iter().map(|plan| needs_place(plan, &plans)).collect();
        assert_eq!(needed, [true, true, false, true, false]);
    }
}
