//! `overlay/`: where directories are prepared, and where they go when they are no longer wanted.
//!
//! ```text
//! staging/<random>   being filled; seen by nobody     ─rename─>  layers/… or containers/…
//! trash/<random>     <─rename─ layers/… or containers/…          being removed
//! ```
//!
//! So a directory under `layers/` and `containers/` is always whole. What a crash leaves in `staging/` and
//! `trash/` is removed when the store is opened.

use crate::error::{OnFile, Result};
use crate::tree;
use rustix::fs::IFlags;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// The directories under `overlay/`.
#[derive(Debug)]
pub(crate) struct Area {
    root: PathBuf,
    counter: AtomicU64,
}

/// A directory in staging, removed on drop unless it was published.
#[derive(Debug)]
pub(crate) struct Staged(PathBuf);

impl Area {
    /// Opens (and makes) the directories under `root`, and removes what a crash has left.
    pub(crate) fn open(root: PathBuf) -> Result<Self> {
        let area = Self { root, counter: AtomicU64::new(0) };
        for directory in [area.layers(), area.containers(), area.staging(), area.trash()] {
            fs::create_dir_all(&directory).on("create", &directory)?;
        }
        // Layers hold setuid programs that no user of the host has any business with.
        let private = fs::Permissions::from_mode(0o700);
        fs::set_permissions(&area.root, private).on("change mode of", &area.root)?;
        spread(&area.staging());
        for directory in [area.staging(), area.trash()] {
            for entry in fs::read_dir(&directory).on("read", &directory)? {
                tree::remove_path(&entry.on("read", &directory)?.path())?;
            }
        }
        Ok(area)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn layers(&self) -> PathBuf {
        self.root.join("layers")
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.root.join("containers")
    }

    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    /// A directory that is and stays empty: the lower layer of an image that has none.
    pub(crate) fn empty(&self) -> Result<PathBuf> {
        let path = self.root.join("empty");
        fs::create_dir_all(&path).on("create", &path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).on("change mode of", &path)?;
        Ok(path)
    }

    fn trash(&self) -> PathBuf {
        self.root.join("trash")
    }

    /// A new empty directory in staging.
    pub(crate) fn stage(&self) -> Result<Staged> {
        let path = self.staging().join(self.unique());
        fs::create_dir(&path).on("create", &path)?;
        Ok(Staged(path))
    }

    /// Takes `path` out of its place at once; the caller then [removes](tree::remove_path) what it gets,
    /// which may take long. `None` if there is nothing.
    pub(crate) fn discard(&self, path: &Path) -> Result<Option<PathBuf>> {
        let to = self.trash().join(self.unique());
        match fs::rename(path, &to) {
            Ok(()) => Ok(Some(to)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).on("remove", path),
        }
    }

    /// A name that no other of this process has; staging and trash were empty when it began. Ext4 chooses the place
    /// of a spread directory by its name, so the time is part of it: or two daemons would choose the same places.
    fn unique(&self) -> String {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("{:x}-{}", now.as_nanos(), self.counter.fetch_add(1, Ordering::Relaxed))
    }
}

/// Has ext4 put each directory made in `directory` somewhere else on the disk, as it does with home directories.
///
/// By default a new file's inode is looked for beside its parent's, and every inode there that was freed in the last
/// minutes is stepped over, one by one, each time: extracting a layer where another was just removed took 24 s
/// instead of 0.8. Other file systems do not know the flag and do not need it.
fn spread(directory: &Path) {
    let flagged = fs::File::open(directory).and_then(|file| {
        let flags = rustix::fs::ioctl_getflags(&file)?;
        Ok(rustix::fs::ioctl_setflags(&file, flags | IFlags::TOPDIR)?)
    });
    if let Err(error) = flagged {
        tracing::debug!(%error, path = %directory.display(), "new directories are not spread");
    }
}

impl Staged {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives the directory its place.
    pub(crate) fn publish(self, to: &Path) -> io::Result<()> {
        fs::rename(&self.0, to)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // What cannot be removed now is when the store is opened the next time.
        if let Err(error) = tree::remove_path(&self.0) {
            tracing::warn!(%error, path = %self.0.display(), "a staging directory stays behind");
        }
    }
}
