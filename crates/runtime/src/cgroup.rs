//! A container's control groups, whichever version the host has.
//!
//! ```text
//! v1      /sys/fs/cgroup/<controller>/<path>   one directory per hierarchy
//! hybrid  as v1; the empty unified hierarchy is left alone
//! v2      /sys/fs/cgroup/<path>                one directory
//! ```

use std::path::PathBuf;

use barge_oci::runtime_spec::LinuxResources;

use crate::Result;

/// One container's place in every hierarchy of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    /// The existing cgroup at `path` (as `linux.cgroupsPath` names it) of a container that is already there.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let _ = path.into();
        todo!()
    }

    /// The path below each hierarchy's mount point, as `linux.cgroupsPath` names it; [`Cgroup::open`] takes it back.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Every process in it and below it, as the caller sees them.
    pub fn procs(&self) -> Result<Vec<i32>> {
        todo!()
    }

    /// Sends a signal to every process in it and below it; none escapes by forking.
    pub fn signal_all(&self, signal: i32) -> Result<()> {
        let _ = signal;
        todo!()
    }

    /// Stops every process in it; returns when all stand still.
    pub fn freeze(&self) -> Result<()> {
        todo!()
    }

    /// Lets them run again.
    pub fn thaw(&self) -> Result<()> {
        todo!()
    }

    /// Changes the limits that `resources` names and leaves the others.
    pub fn update(&self, resources: &LinuxResources) -> Result<()> {
        let _ = resources;
        todo!()
    }

    /// Whether the kernel has killed a process of it for want of memory.
    pub fn oom_killed(&self) -> bool {
        todo!()
    }

    /// Removes it and everything below it; no process may be left. Not there at all is fine.
    pub fn remove(&self) -> Result<()> {
        todo!()
    }
}
