//! The parents of containers' cgroups, which every engine leaves behind: what the tests' engines made goes with them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const MOUNT: &str = "/sys/fs/cgroup";
/// Ours, dockerd's, containerd's and Podman's.
const PARENTS: [&str; 5] = ["barge", "barge-test", "docker", "default", "libpod_parent"];

/// Runs `work`, and removes the empty parents that were not there before it.
pub(crate) fn swept<T>(work: impl FnOnce() -> T) -> T {
    let before = parents(Path::new(MOUNT));
    let result = work();
    for made in parents(Path::new(MOUNT)).difference(&before) {
        // Only an empty one can be removed; another is in use by somebody else.
        let _ = std::fs::remove_dir(made);
    }
    result
}

/// Those below the unified hierarchy or below each controller's own.
fn parents(mount: &Path) -> BTreeSet<PathBuf> {
    let hierarchies = std::fs::read_dir(mount).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(mount.to_owned())
        .chain(hierarchies)
        .flat_map(|hierarchy| PARENTS.map(|name| hierarchy.join(name)))
        .filter(|parent| parent.is_dir() && !parent.is_symlink())
        .collect()
}
