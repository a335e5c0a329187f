//! Handing a container's cgroup to its user (cgroups(7), "Cgroups delegation"), with version 2 only: version 1 has no
//! safe way.
//!
//! The directory and the files that the kernel names become the user's. Limits stay root's: they are the parent's
//! means against the container.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::chown;

use super::{Cgroup, Places, failed};
use crate::error::Result;

/// What the kernel names here may be given away.
const LIST: &str = "/sys/kernel/cgroup/delegate";
/// As the first kernels with delegation have it.
const LEAST: [&str; 3] = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];

impl Cgroup {
    /// Lets the user `owner` (as the host numbers it) make groups in this one and move processes between them.
    pub(crate) fn delegate(&self, owner: u32) -> Result<()> {
        let Places::Unified(directory) = &self.places else { return Ok(()) };
        let give = |path: &std::path::Path| match chown(path, Some(owner), None) {
            // Not every controller is there everywhere.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            result => result.map_err(|error| failed(path, "change the owner", error)),
        };
        give(directory)?;
        let list = fs::read_to_string(LIST);
        let names = match &list {
            Ok(list) => list.lines().filter(|name| is_file_name(name)).collect(),
            Err(_) => LEAST.to_vec(),
        };
        names.iter().try_for_each(|name| give(&directory.join(name)))
    }
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.contains('/') && !matches!(name, "." | "..")
}
