//! The groups below a container's, which whoever is inside may have made: any number, any depth, any names.
//!
//! They are walked by descriptors, one open at a time, because a path through them may be longer than the kernel takes,
//! and a container can nest deeper than a stack is high. Nothing looks at a group's neighbours, so thousands of other
//! containers cost nothing.

use std::ffi::{CString, OsStr};
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::failed;
use crate::error::Result;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Removes a directory of a hierarchy and those below it. Not there at all is fine. A process that has just been
/// reaped may count for a moment longer, hence the few patient tries.
pub(super) fn remove(directory: &Path) -> Result<()> {
    let mut pause = Duration::from_micros(200);
    loop {
        match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::NOENT) => return Ok(()),
                Some(Errno::BUSY | Errno::NOTEMPTY) if pause < Duration::from_millis(100) => {}
                _ => return Err(failed(directory, "remove", error)),
            },
        }
        // What can't be removed now shows in the next try.
        let _ = walk(directory, &mut |_| Ok(()), Leaving::Removed);
        if fs::remove_dir(directory).is_ok() {
            return Ok(());
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
}

/// Every process in a directory and below it.
pub(super) fn processes(directory: &Path) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    let mut collect = |group: &OwnedFd| {
        let mut text = String::new();
        // A group that is gone has nobody in it; one of threads alone has its processes above.
        match openat(group, "cgroup.procs", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Err(Errno::NOENT | Errno::NODEV) => return Ok(()),
            opened => match fs::File::from(opened?).read_to_string(&mut text) {
                Err(error) if error.raw_os_error() == Some(Errno::NODEV.raw_os_error()) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => return Ok(()),
                Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::IO)),
                Ok(_) => {}
            },
        }
        pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        Ok(())
    };
    match walk(directory, &mut collect, Leaving::Untouched) {
        Ok(()) | Err(Errno::NOENT) => Ok(pids),
        Err(errno) => Err(failed(directory, "read the processes of", errno.into())),
    }
}

/// Writes a value to a file of a directory and of all below it, wherever it can be written.
pub(super) fn write(directory: &Path, file: &str, value: &str) {
    let mut set = |group: &OwnedFd| {
        if let Ok(file) = openat(group, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            let _ = rustix::io::write(file, value.as_bytes());
        }
        Ok(())
    };
    let _ = walk(directory, &mut set, Leaving::Untouched);
}

/// What happens to a group when all below it have been seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leaving {
    Untouched,
    Removed,
}

/// Goes through a directory and all below it. `visit` gets each before those below it.
fn walk(
    directory: &Path,
    visit: &mut dyn FnMut(&OwnedFd) -> rustix::io::Result<()>,
    leaving: Leaving,
) -> rustix::io::Result<()> {
    let mut here = openat(CWD, directory, DIRECTORY, Mode::empty())?;
    visit(&here)?;
    // On the way down: the name of each group that was entered, and what is still to be seen in it.
    let mut way: Vec<(CString, Vec<CString>)> = vec![(CString::default(), below(&here)?)];
    while let Some((name, left)) = way.last_mut() {
        let Some(next) = left.pop() else {
            let name = std::mem::take(name);
            way.pop();
            if !way.is_empty() {
                here = openat(&here, "..", DIRECTORY, Mode::empty())?;
                leave(&here, &name, leaving);
            }
            continue;
        };
        match openat(&here, &next, DIRECTORY, Mode::empty()) {
            Ok(group) => {
                visit(&group)?;
                let inside = below(&group)?;
                here = group;
                way.push((next, inside));
            }
            // Somebody has removed it.
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn leave(parent: &OwnedFd, name: &CString, leaving: Leaving) {
    if leaving == Leaving::Removed {
        // One that is busy keeps those above it, whose removal tells.
        let _ = unlinkat(parent, name, AtFlags::REMOVEDIR);
    }
}

/// The groups in a group. Control files are no directories.
fn below(group: &OwnedFd) -> rustix::io::Result<Vec<CString>> {
    let mut out = Vec::new();
    let entries = match Dir::read_from(group) {
        // Somebody has removed it since it was opened.
        Err(Errno::NOENT | Errno::NODEV) => return Ok(out),
        entries => entries?,
    };
    for entry in entries {
        let entry = match entry {
            Err(Errno::NOENT | Errno::NODEV) => break,
            entry => entry?,
        };
        let own = matches!(OsStr::from_bytes(entry.file_name().to_bytes()).to_str(), Some("." | ".."));
        if entry.file_type() == FileType::Directory && !own {
            out.push(entry.file_name().to_owned());
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_and_wide_tree_is_walked_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir(&root).unwrap();
        fs::write(folder.path().join("beside"), "").unwrap();
        // 40 levels with names of 200 bytes are beyond what a path may be.
        let name = "n".repeat(200);
        let mut here = openat(CWD, &root, DIRECTORY, Mode::empty()).unwrap();
        for level in 0..40 {
            for other in ["a", "b"] {
                rustix::fs::mkdirat(&here, format!("{other}{level}"), Mode::from_raw_mode(0o755)).unwrap();
            }
            rustix::fs::mkdirat(&here, name.as_str(), Mode::from_raw_mode(0o755)).unwrap();
            here = openat(&here, name.as_str(), DIRECTORY, Mode::empty()).unwrap();
        }
        let mut seen = 0;
        let mut count = |_: &OwnedFd| {
            seen += 1;
            Ok(())
        };
        walk(&root, &mut count, Leaving::Untouched).unwrap();
        assert_eq!(seen, 121);
        remove(&root).unwrap();
        assert!(!root.exists() && folder.path().join("beside").exists());
        remove(&root).unwrap();
        assert_eq!(processes(&root).unwrap(), Vec::<i32>::new());
    }
}
