//! Places inside a container's root filesystem, by descriptor.
//!
//! A path here is the container's: its symbolic links are followed, but as if the root filesystem were `/`
//! (`openat2` with `RESOLVE_IN_ROOT`), so that none leads out, not even one that is swapped while we look. What comes
//! back is a descriptor, and mounts are attached to descriptors: nobody resolves the path a second time.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;

/// A root filesystem that is not yet anybody's `/`.
#[derive(Debug)]
pub(crate) struct RootDirectory(OwnedFd);

const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const MODE: u32 = 0o755;
/// As many dangling links as the kernel would follow whole ones.
const MOST_LINKS: u32 = 40;

impl RootDirectory {
    pub(crate) fn new(root: OwnedFd) -> Self {
        Self(root)
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// Whether a descriptor names the root directory itself, on the same mount.
    pub(super) fn is(&self, place: &OwnedFd) -> rustix::io::Result<bool> {
        Ok(identity(&self.0)? == identity(place)?)
    }

    /// What is at `path`.
    pub(crate) fn find(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        self.open(path, PLACE, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    }

    /// What is at `path` if no part of it is a symbolic link (`ELOOP` otherwise).
    pub(super) fn find_plain(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        self.open(path, PLACE, ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS)
    }

    fn open(&self, path: &Path, flags: OFlags, resolve: ResolveFlags) -> rustix::io::Result<OwnedFd> {
        // EAGAIN: something was renamed while `..` was resolved, and the kernel could not be sure.
        let mut tries = 0;
        loop {
            match rustix::fs::openat2(&self.0, path, flags, Mode::empty(), resolve) {
                Err(Errno::AGAIN) if tries < 128 => tries += 1,
                result => return result,
            }
        }
    }

    /// The directory at `path`, made with its parents where it is missing.
    pub(crate) fn directory(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let found = self.place(path, Missing::Directory, 0)?;
        match file_type(&found)? {
            FileType::Directory => Ok(found),
            _ => Err(Errno::NOTDIR),
        }
    }

    /// The file (anything but a directory) at `path`, made empty with its parents where it is missing.
    pub(crate) fn file(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let found = self.place(path, Missing::File, 0)?;
        match file_type(&found)? {
            FileType::Directory => Err(Errno::ISDIR),
            _ => Ok(found),
        }
    }

    /// The directory that `path` is in, made where it is missing, and the last name of the path.
    pub(super) fn parent<'a>(&self, path: &'a Path) -> rustix::io::Result<(OwnedFd, &'a OsStr)> {
        let name = path.file_name().ok_or(Errno::INVAL)?;
        Ok((self.directory(path.parent().ok_or(Errno::INVAL)?)?, name))
    }

    fn place(&self, path: &Path, missing: Missing, links: u32) -> rustix::io::Result<OwnedFd> {
        match self.find(path) {
            Err(Errno::NOENT) => {}
            result => return result,
        }
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::NOENT) };
        let directory = self.place(parent, Missing::Directory, links)?;
        match missing.make(&directory, name) {
            Ok(()) => {}
            // Made by somebody else meanwhile, or a link to something that does not exist.
            Err(Errno::EXIST) => match rustix::fs::readlinkat(&directory, name, Vec::new()) {
                Ok(_) if links == MOST_LINKS => return Err(Errno::LOOP),
                Ok(target) => {
                    let target =
                        PathBuf::from(<OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(target.to_bytes()));
                    return self.place(&parent.join(target), missing, links + 1);
                }
                Err(Errno::INVAL) => {}
                Err(errno) => return Err(errno),
            },
            Err(errno) => return Err(errno),
        }
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        rustix::fs::openat2(directory.as_fd(), name, PLACE, Mode::empty(), beneath)
    }
}

impl From<RootDirectory> for OwnedFd {
    fn from(root: RootDirectory) -> Self {
        root.0
    }
}

/// What to make where nothing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    Directory,
    File,
}

impl Missing {
    fn make(self, directory: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
        let mode = Mode::from_raw_mode(MODE);
        match self {
            Self::Directory => rustix::fs::mkdirat(directory, name, mode),
            Self::File => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                rustix::fs::openat(directory, name, flags, mode).map(drop)
            }
        }
    }
}

/// Mount, device and number of what a descriptor names.
fn identity(fd: &OwnedFd) -> rustix::io::Result<(u64, (u32, u32), u64)> {
    let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
    let stat = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, wanted)?;
    Ok((stat.stx_mnt_id, (stat.stx_dev_major, stat.stx_dev_minor), stat.stx_ino))
}

/// The kind of file behind a descriptor.
pub(crate) fn file_type(fd: impl AsFd) -> rustix::io::Result<FileType> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(fd)?.st_mode))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn root() -> (PathBuf, RootDirectory) {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let base = std::env::temp_dir().join(format!("barge-target-{}-{number}", std::process::id()));
        fs::create_dir_all(base.join("root/etc")).unwrap();
        fs::create_dir_all(base.join("outside")).unwrap();
        let fd = rustix::fs::open(base.join("root"), PLACE, Mode::empty()).unwrap();
        (base, RootDirectory::new(fd))
    }

    #[test]
    fn links_stay_inside_and_dangling_ones_are_completed_inside() {
        let (base, root) = root();
        symlink("/outside", base.join("root/absolute")).unwrap();
        symlink("../../outside", base.join("root/relative")).unwrap();
        symlink("absolute/deep", base.join("root/chain")).unwrap();
        for (path, made) in [
            ("/absolute/a", "outside/a"),
            ("/relative/b", "outside/b"),
            ("/chain/c", "outside/deep/c"),
            ("/etc/../../../d", "d"),
        ] {
            root.directory(Path::new(path)).unwrap();
            assert!(base.join("root").join(made).is_dir(), "{path}");
        }
        root.file(Path::new("/absolute/file")).unwrap();
        assert!(base.join("root/outside/file").is_file());
        assert_eq!(fs::read_dir(base.join("outside")).unwrap().count(), 0);
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn loops_and_wrong_kinds_are_errors() {
        let (base, root) = root();
        symlink("two", base.join("root/one")).unwrap();
        symlink("one", base.join("root/two")).unwrap();
        symlink("/nowhere", base.join("root/self")).unwrap();
        fs::write(base.join("root/file"), "").unwrap();
        assert_eq!(root.directory(Path::new("/one/x")).unwrap_err(), Errno::LOOP);
        assert_eq!(root.directory(Path::new("/file")).unwrap_err(), Errno::NOTDIR);
        assert_eq!(root.directory(Path::new("/file/x")).unwrap_err(), Errno::NOTDIR);
        assert_eq!(root.file(Path::new("/etc")).unwrap_err(), Errno::ISDIR);
        assert_eq!(root.find_plain(Path::new("/self")).unwrap_err(), Errno::LOOP);
        fs::remove_dir_all(base).unwrap();
    }
}
