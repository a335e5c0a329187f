//! The root filesystem of a container, built in its own mount namespace, and the move into it.
//!
//! ```text
//! 1  the host's mounts stop propagating our changes         (slave, or as the specification says)
//! 2  make the root: overlay or directory; hold the sources of binds
//! 3  the root, mounted over "/" of this namespace only
//! 4  mounts, /dev, working directory                        all below the root by descriptor
//! 5  masks, read-only paths
//!    hooks, if there are any: the root is also at its path on the host then, for them to find
//! 6  pivot_root, and the host's tree is gone
//! 7  the root's own read-only flag and propagation
//! ```

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use barge_sys::mount::{Change, Reach, attr, flag, set_attributes};
use barge_sys::overlay::{self, Layers};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, UnmountFlags};

use super::cgroups::CgroupView;
use super::mounts::{Sources, clone_path, mount_all};
use super::target::RootDirectory;
use super::{devices, masks, ramdisk};
use crate::error::{Error, Result};
use crate::hooks::HooksPlan;
use crate::plan::mount::MountKind;
use crate::plan::{Plan, Propagation, RootSource};

/// Builds the root of `plan` and moves this process into it.
///
/// `mounted` is the root if its parent has mounted it ([`mount_early`]). `hooks` is called when all is mounted, with
/// the new root as working directory, if the plan has hooks for that.
pub(super) fn build(
    plan: &Plan,
    mounted: Option<&OwnedFd>,
    opened: Vec<Option<OwnedFd>>,
    cgroups: &CgroupView<'_>,
    hooks: impl FnOnce() -> Result<()>,
) -> Result<()> {
    propagate("/", before_root(plan.root.propagation))?;
    let root = match mounted {
        Some(root) => {
            root.try_clone().map_err(|error| Error::RootFs { path: "/".into(), source: error.into() })?
        }
        None => mount_root(&plan.root.source)?,
    };
    // After the root: newer kernels list mounts in the order in which they were made, and CRIU looks for what the mounts
    // of a group are slaves of at the source of the last one. The root's leads nowhere else.
    let sources = Sources::open(&plan.mounts, opened)?;
    let root = RootDirectory::new(root);
    let watched = plan.hooks.as_ref().is_some_and(HooksPlan::during_create);
    place_root(&root, place(plan, watched), plan.root.propagation)?;
    fill(plan, &root, sources, cgroups)?;
    if watched {
        rustix::process::fchdir(root.fd()).map_err(|errno| Error::PivotRoot { source: errno.into() })?;
        hooks()?;
    }
    if plan.root.pivot {
        pivot(&root, plan.root.propagation)?;
    } else {
        ramdisk::enter(&root)?;
    }
    finish_root(plan)
}

/// Mounts all that belongs into the root, and protects it.
pub(super) fn fill(
    plan: &Plan,
    root: &RootDirectory,
    sources: Sources,
    cgroups: &CgroupView<'_>,
) -> Result<()> {
    mount_all(root, &plan.mounts, sources, cgroups)?;
    if needs_devices(plan) {
        devices::fill(root, &plan.devices)?;
    }
    make_working_directory(root, &plan.process.directory)?;
    masks::protect(root, &plan.read_only)?;
    masks::mask(root, &plan.masked)
}

/// What holds until the root is in place. An unbindable root could not be cloned; it becomes so at the end.
fn before_root(wanted: Propagation) -> Propagation {
    match wanted.kind {
        flag::UNBINDABLE => Propagation { kind: flag::PRIVATE, ..wanted },
        _ => wanted,
    }
}

fn propagate(path: &str, propagation: Propagation) -> Result<()> {
    let mut flags = MountPropagationFlags::from_bits_retain(propagation.kind as u32);
    if propagation.recursive {
        flags |= MountPropagationFlags::REC;
    }
    rustix::mount::mount_change(path, flags)
        .map_err(|errno| Error::Propagation { path: path.into(), source: errno.into() })
}

/// Mounts an overlay before there is a container, detached, so that no path leads to it. Whoever holds the result
/// puts off the end of the mount, for which the kernel writes out the filesystem of the upper directory (10 ms and
/// more on a busy disk, which the end of the container would wait for).
///
/// `None` for other roots, and where only the container's own namespace will do (before Linux 6.7).
pub(crate) fn mount_early(source: &RootSource) -> Result<Option<OwnedFd>> {
    match source {
        RootSource::Directory(_) => Ok(None),
        RootSource::Overlay { .. } => with_layers(source, |layers| match overlay::detached_only(layers) {
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::NOSYS)) => {
                Ok(None)
            }
            result => result.map(Some),
        }),
    }
}

pub(super) fn mount_root(source: &RootSource) -> Result<OwnedFd> {
    match source {
        RootSource::Directory(path) => {
            let failed = |errno: Errno| Error::RootFs { path: path.clone(), source: errno.into() };
            let root = clone_path(path, true).map_err(failed)?;
            // A mount of anything else can be made, and what fails then is far from here.
            let kind = FileType::from_raw_mode(rustix::fs::fstat(&root).map_err(failed)?.st_mode);
            if kind == FileType::Directory { Ok(root) } else { Err(failed(Errno::NOTDIR)) }
        }
        RootSource::Overlay { .. } => with_layers(source, overlay::detached),
    }
}

fn with_layers<T>(
    source: &RootSource,
    mount: impl FnOnce(&Layers<'_, PathBuf>) -> std::io::Result<T>,
) -> Result<T> {
    let RootSource::Overlay { lower, upper, work, volatile } = source else {
        return Err(Error::RootFs { path: "/".into(), source: Errno::INVAL.into() });
    };
    let options: &[&str] = if *volatile { &["volatile"] } else { &[] };
    if *volatile {
        // The mark of an earlier volatile mount, by which overlay refuses to trust what is left of it.
        let _ = std::fs::remove_dir_all(work.join("work/incompat/volatile"));
    }
    let layers = Layers { lower: lower.as_slice(), upper: Some(upper), work: Some(work), options };
    mount(&layers).map_err(|error| Error::Overlay {
        layers: lower.len(),
        upper: upper.clone(),
        source: error.into(),
    })
}

/// Where the root is mounted until it is `/`: hooks look for it where the host has it. A directory that is shared with
/// the host would show the mount there, and pivot_root would not take it.
fn place(plan: &Plan, watched: bool) -> &Path {
    match &plan.root.source {
        RootSource::Directory(path) if watched && plan.root.propagation.kind != flag::SHARED => path,
        _ => Path::new("/"),
    }
}

/// Attaches the root, over `/` of this namespace if nobody needs to find it. Paths of the host still work: lookups begin below what is mounted
/// on the root directory itself.
fn place_root(root: &RootDirectory, place: &Path, host: Propagation) -> Result<()> {
    let failed = |errno: Errno| Error::RootFs { path: "/".into(), source: errno.into() };
    if host.kind == flag::SHARED {
        // The host must not get to see the new mount, nor pivot_root a shared one.
        propagate("/", Propagation { kind: flag::PRIVATE, recursive: false })?;
    }
    rustix::mount::move_mount(root.fd(), "", CWD, place, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(failed)?;
    // A bound directory may be shared with the host; pivot_root does not take that. As a slave it still gets to see what
    // is mounted on the host below it.
    let propagation = if host.kind == flag::SLAVE { flag::SLAVE } else { flag::PRIVATE };
    let change = Change { propagation, ..Change::default() };
    set_attributes(root.fd().as_fd(), Reach::Mount, change)
        .map_err(|error| Error::RootFs { path: "/".into(), source: error.into() })
}

/// Where the host's whole `/dev` is bound in, it is not ours to fill.
fn needs_devices(plan: &Plan) -> bool {
    let bound = plan
        .mounts
        .iter()
        .any(|mount| mount.destination == Path::new("/dev") && matches!(mount.kind, MountKind::Bind { .. }));
    !bound
}

fn make_working_directory(root: &RootDirectory, directory: &Path) -> Result<()> {
    match root.directory(directory) {
        Ok(_) => Ok(()),
        // A directory that only the user may look into, or below one: whether that works is seen when it is entered.
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Ok(()),
        // A path through the container's own /proc has no meaning yet.
        Err(Errno::XDEV | Errno::LOOP) => Err(Error::WorkingDirectoryOutside),
        Err(errno) => Err(Error::WorkingDirectory { path: directory.into(), source: errno.into() }),
    }
}

/// Makes the root `/` and takes the host's tree away. With both names `.`, the old root ends up mounted over the new
/// one, from where it is removed: no directory for it is needed (pivot_root(2), NOTES).
fn pivot(root: &RootDirectory, host: Propagation) -> Result<()> {
    let failed = |errno: Errno| Error::PivotRoot { source: errno.into() };
    let old = rustix::fs::open("/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(failed)?;
    rustix::process::fchdir(root.fd()).map_err(failed)?;
    rustix::process::pivot_root(".", ".").map_err(failed)?;
    rustix::process::fchdir(&old).map_err(failed)?;
    // The removal must not reach the host through a mount that is still shared with it.
    if host.kind == flag::SHARED || !host.recursive {
        propagate(".", Propagation { kind: flag::SLAVE, recursive: true })?;
    }
    rustix::mount::unmount(".", UnmountFlags::DETACH).map_err(failed)?;
    rustix::process::chdir("/").map_err(failed)
}

/// Makes a mount of the container read-only, and nothing below it.
pub(super) fn forbid_writing(point: &str) -> Result<()> {
    let failed = |source: crate::error::Cause| Error::ReadOnly { path: point.into(), source };
    let place = rustix::fs::open(point, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let place = place.map_err(|errno| failed(errno.into()))?;
    let change = Change { set: attr::RDONLY, ..Change::default() };
    set_attributes(place.as_fd(), Reach::Mount, change).map_err(|error| failed(error.into()))
}

fn finish_root(plan: &Plan) -> Result<()> {
    if plan.root.read_only {
        forbid_writing("/")?;
    }
    match plan.root.propagation.kind {
        flag::SLAVE => Ok(()),
        _ => propagate("/", plan.root.propagation),
    }
}
