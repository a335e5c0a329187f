//! Which hierarchies the host has and where they are mounted.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::mountinfo::{self, unescape};

/// The cgroup mounts of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Hierarchies of version 1; on hybrid hosts an empty version 2 hierarchy exists besides.
    Legacy(Vec<Hierarchy>),
    /// One hierarchy of version 2, mounted here.
    Unified(PathBuf),
}

/// One mounted hierarchy of version 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Controllers, or `name=…` for one without any.
    pub(crate) names: Vec<String>,
    pub(crate) mount: PathBuf,
}

/// Where hosts have their hierarchies, and what is there is decisive: the other version may be mounted somewhere for
/// purposes of its own.
const ROOT: &str = "/sys/fs/cgroup";

impl Layout {
    /// The layout of the mount namespace this process is in.
    pub(crate) fn of_host() -> Result<Self> {
        Self::parse(&mounts()?)
            .ok_or_else(|| Error::CgroupUnsupported { reason: "no cgroup hierarchy is mounted".into() })
    }

    /// Reads the lines of proc_pid_mountinfo(5).
    fn parse(mountinfo: &str) -> Option<Self> {
        let mut legacy: Vec<Hierarchy> = Vec::new();
        let (mut unified, mut at_root) = (None, false);
        for line in mountinfo.lines() {
            let Some((mount, kind, options)) = fields(line) else { continue };
            if mount == Path::new(ROOT) {
                // The last one hides those before.
                at_root = kind == "cgroup2";
            }
            match kind {
                "cgroup" => {
                    let names = controllers(options);
                    if !names.is_empty() && !legacy.iter().any(|known| known.names == names) {
                        legacy.push(Hierarchy { names, mount });
                    }
                }
                "cgroup2" => unified = unified.or(Some(mount)),
                _ => {}
            }
        }
        if at_root {
            return Some(Self::Unified(ROOT.into()));
        }
        // One that has only a name limits nothing.
        let limits = legacy.iter().flat_map(|known| &known.names).any(|name| !name.starts_with("name="));
        match unified {
            Some(mount) if !limits => Some(Self::Unified(mount)),
            _ => (!legacy.is_empty()).then_some(Self::Legacy(legacy)),
        }
    }
}

/// Where a filesystem of this kind is mounted, if it is.
pub(crate) fn mounted_at(kind: &str) -> Result<Option<PathBuf>> {
    let text = mounts()?;
    let mut found = text.lines().filter_map(fields).filter(|(_, mounted, _)| *mounted == kind);
    Ok(found.next().map(|(place, ..)| place))
}

fn mounts() -> Result<String> {
    let path = Path::new("/proc/self/mountinfo");
    mountinfo::read(path).map_err(|error| Error::File {
        operation: "read".into(),
        path: path.into(),
        source: error.into(),
    })
}

/// Mount point, filesystem type and super options of a line.
fn fields(line: &str) -> Option<(PathBuf, &str, &str)> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mount = mount.split(' ').nth(4)?;
    let mut filesystem = filesystem.split(' ');
    let kind = filesystem.next()?;
    let options = filesystem.nth(1).unwrap_or_default();
    Some((PathBuf::from(unescape(mount)), kind, options))
}

/// The super options of a version 1 mount that are controllers or a name.
fn controllers(options: &str) -> Vec<String> {
    const NOT_CONTROLLERS: [&str; 8] =
        ["rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods", "none"];
    options
        .split(',')
        .filter(|option| !NOT_CONTROLLERS.contains(option) && !option.starts_with("release_agent="))
        .filter(|option| !option.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISK: &str = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n";
    const CPU: &str =
        "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct\n";
    const SYSTEMD: &str = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n";
    const AGAIN: &str = "50 31 0:29 / /mnt/cpu rw - cgroup cgroup rw,cpu,cpuacct\n";
    const UNIFIED: &str = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw,nsdelegate\n";

    const TMPFS: &str = "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n";
    const ALONE: &str = "42 23 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";

    fn hierarchy(names: &[&str], mount: &str) -> Hierarchy {
        Hierarchy { names: names.iter().map(|n| (*n).to_owned()).collect(), mount: mount.into() }
    }

    #[test]
    fn mounts_tell_the_layout() {
        let legacy = Layout::Legacy(vec![
            hierarchy(&["cpu", "cpuacct"], "/sys/fs/cgroup/cpu,cpuacct"),
            hierarchy(&["name=systemd"], "/sys/fs/cgroup/systemd"),
        ]);
        let alone = Some(Layout::Unified("/sys/fs/cgroup".into()));
        let elsewhere = Some(Layout::Unified("/sys/fs/cgroup/unified".into()));
        let named = Some(Layout::Legacy(vec![hierarchy(&["name=systemd"], "/sys/fs/cgroup/systemd")]));
        let cases = [
            ([DISK, CPU, SYSTEMD].concat(), Some(legacy.clone())),
            ([DISK, UNIFIED, CPU, SYSTEMD, AGAIN].concat(), Some(legacy.clone())),
            ([DISK, TMPFS, CPU, SYSTEMD, UNIFIED].concat(), Some(legacy.clone())),
            ([DISK, UNIFIED].concat(), elsewhere.clone()),
            ([DISK, SYSTEMD, UNIFIED].concat(), elsewhere),
            ([DISK, SYSTEMD].concat(), named),
            // What somebody has mounted besides.
            ([DISK, ALONE].concat(), alone.clone()),
            ([DISK, ALONE, AGAIN, SYSTEMD].concat(), alone.clone()),
            ([DISK, AGAIN, UNIFIED, ALONE].concat(), alone.clone()),
            // One over the other.
            ([DISK, TMPFS, CPU, SYSTEMD, ALONE].concat(), alone),
            ([DISK, ALONE, TMPFS, CPU, SYSTEMD].concat(), Some(legacy)),
            (DISK.to_owned(), None),
            ("garbage\n - \n".to_owned(), None),
        ];
        for (text, expected) in cases {
            assert_eq!(Layout::parse(&text), expected, "{text}");
        }
    }
}
