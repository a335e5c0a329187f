//! One directory per hierarchy of version 1.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::device_rules::Rule;
use super::layout::Hierarchy;
use super::order::write_in_order;
use super::settings::{Absent, Setting};
use super::{Made, failed, make_directory, tree, unsupported, write_value};
use crate::error::{Error, Result};

/// A container's directory in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    controllers: Vec<String>,
    mount: PathBuf,
    pub(super) directory: PathBuf,
}

impl Place {
    pub(super) fn new(hierarchy: &Hierarchy, relative: &Path) -> Self {
        Self {
            controllers: hierarchy.names.clone(),
            mount: hierarchy.mount.clone(),
            directory: hierarchy.mount.join(relative),
        }
    }

    /// The place of a cgroup in this one.
    pub(super) fn below(&self, relative: &Path) -> Self {
        Self { directory: self.directory.join(relative), ..self.clone() }
    }

    pub(super) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|name| name == controller)
    }

    /// Makes the directory, or takes the one that is there.
    pub(super) fn make(&self) -> Result<Made> {
        let made = make_directory(&self.directory)?;
        if self.has("cpuset") {
            inherit_cpuset(&self.mount, &self.directory)?;
        }
        Ok(made)
    }

    /// The file into which a thread writes 0 to enter.
    pub(super) fn tasks(&self) -> Result<OwnedFd> {
        let file = self.directory.join("tasks");
        match OpenOptions::new().write(true).open(&file) {
            Ok(opened) => Ok(opened.into()),
            Err(error) => Err(failed(&file, "open", error)),
        }
    }
}

/// A new cpuset is empty and takes no process until it has processors and memory nodes: it gets its parent's.
fn inherit_cpuset(mount: &Path, directory: &Path) -> Result<()> {
    for name in ["cpuset.cpus", "cpuset.mems"] {
        let file = directory.join(name);
        let present = fs::read_to_string(&file).map_err(|error| failed(&file, "read", error))?;
        if !present.trim().is_empty() {
            continue;
        }
        let Some(parent) = directory.parent().filter(|parent| parent.starts_with(mount)) else { continue };
        if parent != mount {
            inherit_cpuset(mount, parent)?;
        }
        let source = parent.join(name);
        let inherited = fs::read_to_string(&source).map_err(|error| failed(&source, "read", error))?;
        write_value(&file, inherited.trim())?;
    }
    Ok(())
}

pub(super) fn place<'a>(places: &'a [Place], controller: &str) -> Option<&'a Path> {
    places.iter().find(|place| place.has(controller)).map(|place| place.directory.as_path())
}

/// Writes settings where their controllers are mounted.
pub(super) fn apply(places: &[Place], settings: &[Setting]) -> Result<()> {
    for (index, setting) in settings.iter().enumerate() {
        match place(places, setting.controller) {
            Some(directory) => write_in_order(directory, setting, &settings[index..])?,
            None if setting.absent == Absent::Refused => return Err(unsupported(setting)),
            None => {}
        }
    }
    Ok(())
}

/// Takes every device from the cgroup and gives back what the rules allow.
pub(super) fn restrict_devices(places: &[Place], rules: &[Rule]) -> Result<()> {
    let directory = place(places, "devices")
        .ok_or_else(|| Error::CgroupUnsupported { reason: "the devices controller is not mounted".into() })?;
    let open = |name: &str| {
        let path = directory.join(name);
        OpenOptions::new().write(true).open(&path).map_err(|error| failed(&path, "open", error))
    };
    let (allow, deny) = (open("devices.allow")?, open("devices.deny")?);
    for rule in rules {
        let (file, name) = if rule.allow { (&allow, "devices.allow") } else { (&deny, "devices.deny") };
        let line = rule.to_string();
        rustix::io::write(file, line.as_bytes())
            .map_err(|errno| failed(&directory.join(name), &format!("write {line:?}"), errno.into()))?;
    }
    Ok(())
}

pub(super) const FROZEN: &str = "FROZEN";
pub(super) const THAWED: &str = "THAWED";

/// Freezing takes a while when processes fork or wait uninterruptibly; the write is repeated because a task that
/// joined meanwhile would be left out. One that goes on forking may never be caught: letting all go for a moment, now and
/// then, gives another chance, as runc found out. Thawing is done when it is written, unless somebody above is frozen.
pub(super) fn set_frozen(places: &[Place], state: &str) -> Result<()> {
    let file = place(places, "freezer")
        .ok_or_else(|| Error::CgroupUnsupported { reason: "the freezer controller is not mounted".into() })?
        .join("freezer.state");
    for attempt in 1..=1000u64 {
        write_value(&file, state)?;
        if state == THAWED {
            return Ok(());
        }
        let present = fs::read_to_string(&file).map_err(|error| failed(&file, "read", error))?;
        if present.trim() == state {
            return Ok(());
        }
        if attempt.is_multiple_of(50) {
            write_value(&file, THAWED)?;
        }
        std::thread::sleep(Duration::from_micros(10 * attempt));
    }
    Err(failed(&file, &format!("wait for {state}"), io::Error::from(rustix::io::Errno::TIMEDOUT)))
}

/// Lets go what a container has frozen itself, in groups below its own: nothing frozen dies.
pub(super) fn thaw_below(places: &[Place]) {
    if let Some(directory) = place(places, "freezer") {
        tree::write(directory, "freezer.state", THAWED);
    }
}

pub(super) fn is_frozen(places: &[Place]) -> bool {
    let file = place(places, "freezer").map(|directory| directory.join("freezer.state"));
    file.and_then(|file| fs::read_to_string(file).ok()).is_some_and(|state| state.trim() != THAWED)
}
