//! The directory of a container that is being made or run, and whether it still is this process's.
//!
//! ```text
//! create a         <root>/a is made and held
//! delete -f a      its cgroup is removed, then <root>/a
//! create a         <root>/a is another's, and so is the cgroup of that name
//! the first fails  what has the container's names now is not its to clear away
//! ```
//!
//! Whoever deletes a container removes the directory last: as long as that is there, the rest is this process's too.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::{Error, Result};

/// A directory, by name and by descriptor: no other gets the inode as long as that is open.
#[derive(Debug)]
pub(crate) struct Reservation {
    path: PathBuf,
    held: OwnedFd,
}

impl Reservation {
    /// Holds a directory that was just made.
    pub(crate) fn of(path: PathBuf) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(held) => Ok(Self { path, held }),
            Err(errno) => Err(Error::File { operation: "open".into(), path, source: errno.into() }),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether somebody else has made a container of this name, after this one's was deleted. Not to be able to tell is
    /// as good: nothing is removed on a guess.
    pub(crate) fn is_anothers(&self) -> bool {
        match (rustix::fs::lstat(&self.path), rustix::fs::fstat(&self.held)) {
            (Ok(now), Ok(own)) => (now.st_dev, now.st_ino) != (own.st_dev, own.st_ino),
            (Err(Errno::NOENT), _) => false,
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_of_the_same_name_is_anothers() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("container");
        fs::create_dir(&path).unwrap();
        let own = Reservation::of(path.clone()).unwrap();
        fs::write(path.join("file"), "").unwrap();
        assert!(!own.is_anothers());
        fs::remove_dir_all(&path).unwrap();
        assert!(!own.is_anothers(), "nobody's");
        fs::create_dir(&path).unwrap();
        assert!(own.is_anothers());
        assert!(!Reservation::of(path).unwrap().is_anothers());
    }
}
