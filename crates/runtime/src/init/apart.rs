//! The root filesystem of a container that has no mount namespace of its own: in the caller's, or in one that is named
//! by path.
//!
//! ```text
//! own mount namespace     the tree is attached there, and becomes / by pivot_root           init/rootfs.rs
//! somebody else's         the tree is attached nowhere: nobody else sees it; / by chroot      here
//! ```
//!
//! What runc does in this case, mounting in the host's tree and changing the root below it, leaves mounts behind, shows
//! them to everybody, and a process that may change its root walks out by `..`. Above a tree that is attached nowhere
//! there is nothing to walk to. It lives as long as a process is in it. Linux 6.15 is the first that mounts inside such
//! a tree. The namespace itself stays what it was asked to be, and its owner's affair: who may join namespaces leaves.

use std::os::fd::{AsFd, OwnedFd};

use barge_sys::mount::{Change, Reach, attr, set_attributes};
use barge_sys::namespace::kind;
use rustix::io::Errno;

use super::cgroups::CgroupView;
use super::mounts::{Sources, attach, filesystem};
use super::rootfs::{fill, mount_root};
use super::target::RootDirectory;
use crate::error::{Error, Result};
use crate::hooks::HooksPlan;
use crate::plan::Plan;

/// A root that is attached nowhere. As long as this is there, mounts can be made in it.
#[derive(Debug)]
pub(super) struct Apart(OwnedFd);

/// As [`super::rootfs::build`], for a container without a mount namespace of its own.
pub(super) fn build(
    plan: &Plan,
    mounted: Option<&OwnedFd>,
    opened: Vec<Option<OwnedFd>>,
    cgroups: &CgroupView<'_>,
    hooks: impl FnOnce() -> Result<()>,
) -> Result<Apart> {
    probe()?;
    let sources = Sources::open(&plan.mounts, opened)?;
    let root = match mounted {
        Some(root) => root.try_clone().map_err(|error| unusable(error.into()))?,
        None => mount_root(&plan.root.source)?,
    };
    // What is mounted below must not show on the host.
    propagate(&root, barge_sys::mount::flag::SLAVE)?;
    let root = RootDirectory::new(root);
    fill(plan, &root, sources, cgroups)?;
    if plan.hooks.as_ref().is_some_and(HooksPlan::during_create) {
        rustix::process::fchdir(root.fd()).map_err(|errno| unusable(errno.into()))?;
        hooks()?;
    }
    // The whole tree: what was taken from the host since has the host's propagation.
    propagate(root.fd(), plan.root.propagation.kind)?;
    if plan.root.read_only {
        let change = Change { set: attr::RDONLY, ..Change::default() };
        set_attributes(root.fd().as_fd(), Reach::Mount, change)
            .map_err(|error| Error::ReadOnly { path: "/".into(), source: error.into() })?;
    }
    let apart = Apart(root.into());
    apart.enter()?;
    Ok(apart)
}

impl Apart {
    /// Joins somebody else's mount namespace with this root.
    pub(super) fn join(&self, namespace: &OwnedFd) -> Result<()> {
        super::join(kind::MOUNT, namespace)?;
        self.enter()
    }

    fn enter(&self) -> Result<()> {
        change_root(&self.0)
    }
}

/// Makes a directory the root and the working directory of this process.
pub(crate) fn change_root(directory: &OwnedFd) -> Result<()> {
    rustix::process::fchdir(directory)
        .and_then(|()| rustix::process::chroot("."))
        .map_err(|errno| Error::RootFs { path: "/".into(), source: errno.into() })
}

fn propagate(root: &OwnedFd, kind: u64) -> Result<()> {
    let change = Change { propagation: kind, ..Change::default() };
    set_attributes(root.as_fd(), Reach::Tree, change)
        .map_err(|error| Error::Propagation { path: "/".into(), source: error.into() })
}

/// Older kernels mount nothing in a tree that is attached nowhere.
fn probe() -> Result<()> {
    let tmpfs = || filesystem("tmpfs", "tmpfs", &[], 0);
    let tried = tmpfs().and_then(|inner| attach(&inner, tmpfs()?));
    match tried {
        Err(Errno::INVAL) => Err(crate::plan::invalid(
            "linux.namespaces",
            "a container without a mount namespace of its own needs Linux 6.15",
        )),
        result => result.map_err(|errno| unusable(errno.into())),
    }
}

fn unusable(source: crate::error::Cause) -> Error {
    Error::RootFs { path: "/".into(), source }
}
