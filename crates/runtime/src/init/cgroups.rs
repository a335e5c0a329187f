//! What a container sees under `/sys/fs/cgroup`.
//!
//! ```text
//! host has    cgroup namespace of its own        the host's cgroup namespace
//! v2          cgroup2, mounted                   the container's directory, bound
//! v1, hybrid  tmpfs with each hierarchy mounted  tmpfs with each hierarchy's directory of the container, bound
//! ```
//!
//! Version 2 is never mounted outside a namespace of its own: that would change the options of the host's own mount.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::MoveMountFlags;

use super::mounts::{
    Attributes, attach_with, because, change_attributes, check_place, clone_path, filesystem,
};
use super::target::RootDirectory;
use crate::cgroup::{Hierarchy, Layout};
use crate::error::Result;
use crate::plan::mount::MountPlan;

/// What is needed to show a container its cgroups.
#[derive(Debug)]
pub(super) struct CgroupView<'a> {
    pub(super) layout: &'a Layout,
    /// The container's path in the hierarchies.
    pub(super) path: &'a Path,
    /// Whether it is in a cgroup namespace whose root is that path.
    pub(super) private: bool,
    /// Whether the root is attached nowhere (see [`super::apart`]): what is in it can't be changed any more, but
    /// everything can be mounted beforehand.
    pub(super) apart: bool,
}

impl CgroupView<'_> {
    pub(super) fn mount(&self, root: &RootDirectory, mount: &MountPlan) -> Result<()> {
        let failed = because(mount, "cgroup");
        let place = root.directory(&mount.destination).map_err(&failed)?;
        check_place(root, mount, &place, false)?;
        match self.layout {
            Layout::Unified(host) => self.unified(host, mount, &place),
            Layout::Legacy(hierarchies) => self.legacy(hierarchies, mount, &place),
        }
        .map_err(failed)
    }

    fn below<'a>(&self, host: &'a Path) -> std::borrow::Cow<'a, Path> {
        host.join(self.path.strip_prefix("/").unwrap_or(self.path)).into()
    }

    fn unified(&self, host: &Path, mount: &MountPlan, place: &OwnedFd) -> rustix::io::Result<()> {
        if self.private {
            let fresh = filesystem("cgroup2", "cgroup", &[], mount.attributes())?;
            return attach_with(&fresh, place, mount, Attributes::Set);
        }
        let own = match clone_path(&self.below(host), false) {
            // Nobody without privileges gets one of his own; what there is may be looked at.
            Err(Errno::NOENT) => clone_path(host, false),
            own => own,
        };
        attach_with(&own?, place, mount, Attributes::Change)
    }

    fn legacy(
        &self,
        hierarchies: &[Hierarchy],
        mount: &MountPlan,
        place: &OwnedFd,
    ) -> rustix::io::Result<()> {
        let writable = mount.attributes() & !barge_sys::mount::attr::RDONLY;
        let directory = filesystem("tmpfs", "cgroup", &["mode=755".into()], writable)?;
        if !self.apart {
            attach_with(&directory, place, mount, Attributes::Set)?;
        }
        for hierarchy in hierarchies {
            let Some(name) = hierarchy.mount.file_name() else { continue };
            let (tree, attributes) = match self.hierarchy(hierarchy, mount) {
                // As above.
                Err(Errno::NOENT) if !self.private => continue,
                tree => tree?,
            };
            // By name, which is safe here: nobody else can reach this new filesystem yet.
            rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o755))?;
            change_attributes(&tree, mount, attributes)?;
            let from = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            rustix::mount::move_mount(&tree, "", &directory, name, from)?;
            for alias in aliases(hierarchy) {
                match rustix::fs::symlinkat(name, &directory, alias) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
            }
        }
        // It was writable so far to make the places in it.
        let change = barge_sys::mount::Change { set: mount.attributes(), ..Default::default() };
        barge_sys::mount::set_attributes(directory.as_fd(), barge_sys::mount::Reach::Mount, change)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        if self.apart { attach_with(&directory, place, mount, Attributes::Set) } else { Ok(()) }
    }

    fn hierarchy(
        &self,
        hierarchy: &Hierarchy,
        mount: &MountPlan,
    ) -> rustix::io::Result<(OwnedFd, Attributes)> {
        if !self.private {
            return Ok((clone_path(&self.below(&hierarchy.mount), false)?, Attributes::Change));
        }
        let mut options = hierarchy.names.clone();
        if options.iter().any(|name| name.starts_with("name=")) {
            options.insert(0, "none".into());
        }
        Ok((filesystem("cgroup", "cgroup", &options, mount.attributes())?, Attributes::Set))
    }
}

/// The controllers' own names, where they are mounted together under another.
fn aliases(hierarchy: &Hierarchy) -> impl Iterator<Item = &str> {
    let together = hierarchy.names.len() > 1;
    hierarchy.names.iter().map(String::as_str).filter(move |name| together && !name.starts_with("name="))
}
