//! The moment at which the kernel kills for want of memory, as a descriptor to wait for.
//!
//! v1: an eventfd registered in `cgroup.event_control` counts each such moment (cgroup-v1/memory.rst, section 10).
//! v2: `memory.events` reports a change to inotify; the change counts when `oom_kill` in it has grown.

use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::EventfdFlags;
use rustix::fs::inotify;

use super::{Cgroup, Places, stats};
use crate::error::{Error, Result};

/// Watches one cgroup. Non-blocking; readable when [`OomWatch::happened`] should be asked.
#[derive(Debug)]
pub struct OomWatch {
    fd: OwnedFd,
    /// On version 2: the file to look into, and the kills that were seen in it.
    events: Option<(PathBuf, u64)>,
}

impl Cgroup {
    /// Begins to watch for want of memory; `None` where memory is not controlled.
    pub fn watch_oom(&self) -> Result<Option<OomWatch>> {
        match &self.places {
            Places::Legacy(places) => {
                places.iter().find(|place| place.has("memory")).map(|p| watch_v1(&p.directory)).transpose()
            }
            Places::Unified(directory) => watch_v2(&directory.join("memory.events")),
        }
    }
}

impl OomWatch {
    /// Whether there was want of memory since the last time this was asked.
    pub fn happened(&mut self) -> bool {
        let mut buffer = [0_u8; 1024];
        let read = rustix::io::read(&self.fd, &mut buffer).unwrap_or(0);
        match &mut self.events {
            None => read > 0,
            Some((file, seen)) => {
                let now = kills(file);
                now > std::mem::replace(seen, now)
            }
        }
    }
}

impl AsFd for OomWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn watch_v1(directory: &Path) -> Result<OomWatch> {
    let failed = |source| Error::Cgroup {
        path: directory.to_owned(),
        operation: "watch for want of memory".into(),
        source,
    };
    let fd = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|error| failed(error.into()))?;
    let register = || {
        let control = File::open(directory.join("memory.oom_control"))?;
        let line = format!("{} {}", fd.as_raw_fd(), control.as_raw_fd());
        fs::write(directory.join("cgroup.event_control"), line)
    };
    register().map_err(|error| failed(error.into()))?;
    Ok(OomWatch { fd, events: None })
}

fn watch_v2(file: &Path) -> Result<Option<OomWatch>> {
    if !file.exists() {
        return Ok(None);
    }
    let watch = || -> rustix::io::Result<OwnedFd> {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        inotify::add_watch(&fd, file, inotify::WatchFlags::MODIFY)?;
        Ok(fd)
    };
    let fd = watch().map_err(|error| Error::Cgroup {
        path: file.to_owned(),
        operation: "watch for want of memory".into(),
        source: error.into(),
    })?;
    Ok(Some(OomWatch { fd, events: Some((file.to_owned(), kills(file))) }))
}

fn kills(file: &Path) -> u64 {
    stats::keyed(&fs::read_to_string(file).unwrap_or_default(), "oom_kill")
}
