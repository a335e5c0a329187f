//! One daemon per data root and per pid file, by flock: a lock dies with its process, a stale number in a file does
//! not matter.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

use crate::error::{Error, Result};

/// A locked file with this process's number in it. Removed on drop.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    /// Holds the lock.
    _file: File,
}

impl PidFile {
    /// Locks the file at `path`, made if it is missing; `what` is what the lock stands for.
    pub(crate) fn lock(path: &Path, what: &str) -> Result<Self> {
        let failed = |operation| move |source| Error::File { operation, path: path.to_owned(), source };
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(failed("create directory of"))?;
        }
        loop {
            let mut file = File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(failed("open"))?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => {
                    return Err(Error::Taken { what: what.to_owned(), pid: holder(&mut file) });
                }
                Err(error) => return Err(failed("lock")(error.into())),
            }
            // The daemon before us may have removed the file between our open and its unlock.
            if !is_at(&file, path).map_err(failed("check"))? {
                continue;
            }
            file.set_len(0).map_err(failed("truncate"))?;
            write!(file, "{}", std::process::id()).map_err(failed("write"))?;
            return Ok(Self { path: path.to_owned(), _file: file });
        }
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn holder(file: &mut File) -> String {
    let mut pid = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(20).read_to_string(&mut pid));
    match read {
        Ok(_) if !pid.trim().is_empty() => pid.trim().to_owned(),
        _ => "(unknown)".to_owned(),
    }
}

fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_names_the_holder() {
        let path = std::env::temp_dir().join(format!("barge-lock-{}/pid", std::process::id()));
        let lock = PidFile::lock(&path, "data root /x").unwrap();
        let expected =
            format!("failed to start daemon: data root /x is in use by process {}", std::process::id());
        assert_eq!(PidFile::lock(&path, "data root /x").unwrap_err().to_string(), expected);
        drop(lock);
        assert!(!path.exists());
        drop(PidFile::lock(&path, "data root /x").unwrap());
        std::fs::remove_dir_all(path.parent().unwrap()).unwrap();
    }
}
