//! The mounts of a mount namespace, as proc_pid_mountinfo(5) lists them.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::mountinfo::{self, unescape};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mounted {
    pub(super) id: u64,
    /// `major:minor` of the filesystem.
    pub(super) device: String,
    /// Which part of the filesystem.
    pub(super) root: PathBuf,
    /// Where.
    pub(super) point: PathBuf,
    /// Type of the filesystem.
    pub(super) kind: String,
}

/// The mounts that process `pid` sees; `self` for our own.
pub(super) fn of_process(pid: &str) -> Result<Vec<Mounted>> {
    let path = Path::new("/proc").join(pid).join("mountinfo");
    let text = mountinfo::read(&path).map_err(|error| Error::File {
        operation: "read".into(),
        path,
        source: error.into(),
    })?;
    Ok(text.lines().filter_map(line).collect())
}

fn line(line: &str) -> Option<Mounted> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut fields = mount.split(' ');
    let id = fields.next()?.parse().ok()?;
    let device = fields.nth(1)?.to_owned();
    let root = PathBuf::from(unescape(fields.next()?));
    let point = PathBuf::from(unescape(fields.next()?));
    Some(Mounted { id, device, root, point, kind: filesystem.split(' ').next()?.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_optional_fields_and_escapes() {
        let text = r"95 31 0:25 /a\040b /proc/key\040s rw,nosuid shared:3 master:1 - tmpfs tmpfs rw,size=0k";
        let found = line(text).unwrap();
        let expected = Mounted {
            id: 95,
            device: "0:25".into(),
            root: "/a b".into(),
            point: "/proc/key s".into(),
            kind: "tmpfs".into(),
        };
        assert_eq!(found, expected);
        assert_eq!(line("95 31 0:25 / /proc rw"), None);
    }
}
