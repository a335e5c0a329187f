//! A container's control groups, whichever version the host has.
//!
//! ```text
//! v1      /sys/fs/cgroup/<controller>/<path>   one directory per hierarchy
//! hybrid  as v1; the unified hierarchy has no controllers and is left alone
//! v2      /sys/fs/cgroup/<path>                one directory
//! ```
//!
//! `Cgroup::create` makes the directories and sets the limits; the container's init enters by itself (`Entry`).
//! What a limit means in files is decided in `settings`, which touches nothing.

mod delegation;
mod device_program;
mod device_rules;
mod end;
mod former;
mod ignored;
mod layout;
mod oom;
mod order;
#[cfg(any(test, fuzzing))]
mod rehearsal;
mod report;
pub(crate) mod rootless;
mod settings;
pub mod stats;
mod systemd;
mod tree;
mod v1;
mod v2;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use barge_oci::runtime_spec::{LinuxDeviceCgroup, LinuxResources, Spec};

use crate::error::{Error, Result};
use crate::userns;
use former::Former;
pub(crate) use layout::{Hierarchy, Layout, mounted_at};
pub use oom::OomWatch;
#[cfg(any(test, fuzzing))]
pub(crate) use rehearsal::{rehearse, rehearse_path};
use settings::Setting;
pub use stats::Stats;
pub(crate) use systemd::{Placeholder, Scope};

/// One container's place in every hierarchy of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    path: PathBuf,
    places: Places,
    /// The unit it belongs to, if systemd has made it.
    scope: Option<Scope>,
}

/// Who makes a container's cgroup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Driver {
    /// This runtime, in the file system. `linux.cgroupsPath` is a path.
    #[default]
    Direct,
    /// Systemd, as a transient scope: process 1 for root, the user's own manager for others.
    /// `linux.cgroupsPath` is `slice:prefix:name`, and annotations `org.systemd.property.*` are heeded.
    Systemd,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Places {
    /// A directory in each hierarchy of version 1.
    Legacy(Vec<v1::Place>),
    /// The one directory of version 2.
    Unified(PathBuf),
}

/// Whether a directory is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Made {
    New,
    Before,
}

/// Hears of a cgroup that is about to be made, and of the unit that it is to belong to; may object.
pub(crate) type Announce<'a> = &'a dyn Fn(&Path, Option<&Scope>) -> Result<()>;

/// How a new process gets into a cgroup.
#[derive(Debug)]
pub(crate) enum Entry {
    /// It writes itself into each `tasks` file.
    Tasks(Vec<OwnedFd>),
    /// It is born there (`CLONE_INTO_CGROUP`).
    Birth(OwnedFd),
}

impl Entry {
    /// Called by the new process itself. Nothing to do where it was born in its cgroup.
    ///
    /// A thread that moves only itself (`0` into `tasks`) is spared the wait for an RCU grace period, which every
    /// write to `cgroup.procs` risks (median 0.4 ms either way, 90th percentile 0.6 against 13 ms).
    pub(crate) fn enter(&self) -> rustix::io::Result<()> {
        if let Self::Tasks(files) = self {
            for file in files {
                rustix::io::write(file, b"0")?;
            }
        }
        Ok(())
    }

    /// The directory for `CLONE_INTO_CGROUP`.
    pub(crate) fn birth(&self) -> Option<&OwnedFd> {
        match self {
            Self::Birth(directory) => Some(directory),
            Self::Tasks(_) => None,
        }
    }
}

impl Cgroup {
    /// The existing cgroup at `path` (as `linux.cgroupsPath` names it) of a container that is already there.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        Self::locate(&Layout::of_host()?, &path.into())
    }

    /// As [`Cgroup::open`], for one that belongs to a unit of systemd.
    pub(crate) fn open_in(path: &Path, scope: Option<Scope>) -> Result<Self> {
        Ok(Self { scope, ..Self::locate(&Layout::of_host()?, path)? })
    }

    /// Makes the cgroup at `path` with the limits and device rules of `resources`. On failure nothing stays.
    pub(crate) fn create(layout: &Layout, path: &Path, resources: Option<&LinuxResources>) -> Result<Self> {
        let cgroup = Self::locate(layout, path)?;
        cgroup.furnish(resources).inspect_err(|_| {
            // The first failure is what the caller wants to hear of.
            cgroup.abandon();
        })?;
        Ok(cgroup)
    }

    /// Refuses a path where somebody is already: nothing may say before that it is a container's.
    pub(crate) fn check_vacant(layout: &Layout, path: &Path) -> Result<()> {
        let cgroup = Self::locate(layout, path)?;
        let mut there = cgroup.directories().into_iter().filter(|directory| directory.is_dir());
        there.try_for_each(|directory| cgroup.check_made(directory, Made::Before))
    }

    /// Has systemd make the cgroup of a specification. It lasts as long as a process is in it: at first that is the
    /// placeholder.
    pub(crate) fn create_scope(
        layout: &Layout,
        spec: &Spec,
        id: &str,
        announce: Announce<'_>,
    ) -> Result<(Self, Placeholder)> {
        systemd::create(layout, spec, id, announce)
    }

    /// Makes the directories that are not there and sets the limits.
    fn furnish(&self, resources: Option<&LinuxResources>) -> Result<()> {
        let made = match &self.places {
            Places::Legacy(places) => places.iter().try_for_each(|place| {
                let made = place.make()?;
                self.check_made(&place.directory, made)
            }),
            Places::Unified(directory) => {
                v2::make(&self.path, directory).and_then(|made| self.check_made(directory, made))
            }
        };
        made.and_then(|()| self.limit(resources))
    }

    /// Whoever is in a group that was there before would be limited, stopped and killed with the container.
    fn check_made(&self, directory: &Path, made: Made) -> Result<()> {
        // The scope that systemd has just made has the placeholder in it.
        if made == Made::New || self.scope.is_some() {
            return Ok(());
        }
        let reason = match tree::processes(directory)?.len() {
            0 if self.is_frozen() => "container's cgroup unexpectedly frozen".into(),
            0 => return Ok(()),
            count => format!("container's cgroup is not empty: {count} process(es) found"),
        };
        Err(Error::CgroupUnsupported { reason })
    }

    fn locate(layout: &Layout, path: &Path) -> Result<Self> {
        let path = below_root(path)?;
        let relative = path.strip_prefix("/").unwrap_or(&path);
        let places = match layout {
            Layout::Legacy(hierarchies) => Places::Legacy(
                hierarchies.iter().map(|hierarchy| v1::Place::new(hierarchy, relative)).collect(),
            ),
            Layout::Unified(mount) => Places::Unified(mount.join(relative)),
        };
        Ok(Self { path, places, scope: None })
    }

    /// The path below each hierarchy's mount point, as `linux.cgroupsPath` names it; [`Cgroup::open`] takes it back.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A cgroup that lies below this one, in the hierarchies of the named controllers or, without names, in all.
    /// Version 2 has one hierarchy, and no names.
    pub(crate) fn below(&self, controllers: &[&str], path: &Path) -> Result<Self> {
        // The container's own, although it may have moved its processes further down.
        let own = path.components().all(|part| matches!(part, Component::RootDir | Component::CurDir));
        let path = if own { PathBuf::new() } else { below_root(path)? };
        let relative = path.strip_prefix("/").unwrap_or(&path);
        let places = match &self.places {
            Places::Legacy(places) => {
                let missing = controllers.iter().find(|name| !places.iter().any(|place| place.has(name)));
                if let Some(name) = missing {
                    return Err(Error::CgroupUnsupported {
                        reason: format!("no controller {name} is mounted"),
                    });
                }
                if own {
                    return Ok(self.clone());
                }
                let meant = |place: &v1::Place| {
                    controllers.is_empty() || controllers.iter().any(|name| place.has(name))
                };
                let moved =
                    |place: &v1::Place| if meant(place) { place.below(relative) } else { place.clone() };
                Places::Legacy(places.iter().map(moved).collect())
            }
            Places::Unified(_) if !controllers.is_empty() => {
                let reason = "controllers can't be named on a host with cgroup v2".into();
                return Err(Error::CgroupUnsupported { reason });
            }
            Places::Unified(_) if own => return Ok(self.clone()),
            Places::Unified(directory) => Places::Unified(directory.join(relative)),
        };
        Ok(Self { path: self.path.join(relative), places, scope: None })
    }

    /// Opens what a new process needs to enter.
    pub(crate) fn entry(&self) -> Result<Entry> {
        match &self.places {
            Places::Legacy(places) => {
                let may_lack =
                    |tasks: &Result<OwnedFd>| matches!(tasks, Err(error) if rootless::is_expected(error));
                let tasks = places.iter().map(v1::Place::tasks).filter(|tasks| !may_lack(tasks));
                Ok(Entry::Tasks(tasks.collect::<Result<_>>()?))
            }
            Places::Unified(directory) => match v2::open_directory(directory) {
                Err(error) if rootless::is_expected(&error) => Ok(Entry::Tasks(Vec::new())),
                opened => opened.map(Entry::Birth),
            },
        }
    }

    /// The unit it belongs to, if systemd has made it.
    pub(crate) fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    fn limit(&self, resources: Option<&LinuxResources>) -> Result<()> {
        resources.map_or(Ok(()), |resources| self.apply(resources))?;
        self.restrict_devices(device_rules::of(resources))
    }

    /// Changes the limits that `resources` names and leaves the others. Device rules are not limits and stay. On failure
    /// all limits stay as they were, except that systemd keeps what it has taken.
    pub fn update(&self, resources: &LinuxResources) -> Result<()> {
        let settings = self.settings(resources)?;
        self.check_use(resources)?;
        let former = Former::of(&self.places, &settings);
        let updated = match &self.scope {
            Some(scope) => self.apply(&systemd::update(scope, resources, &self.places)?),
            None => self.write(&settings),
        };
        updated.inspect_err(|_| former.restore())
    }

    fn apply(&self, resources: &LinuxResources) -> Result<()> {
        let settings = self.settings(resources)?;
        self.check_use(resources)?;
        self.write(&settings)
    }

    fn settings(&self, resources: &LinuxResources) -> Result<Vec<Setting>> {
        match &self.places {
            Places::Legacy(_) => settings::for_v1(resources),
            Places::Unified(_) => settings::for_v2(resources),
        }
    }

    /// The kernel of version 1 refuses by itself what it can't do.
    fn check_use(&self, resources: &LinuxResources) -> Result<()> {
        match (&self.places, resources.memory()) {
            (Places::Unified(directory), Some(memory)) => v2::check_use(directory, memory),
            _ => Ok(()),
        }
    }

    fn write(&self, settings: &[Setting]) -> Result<()> {
        match &self.places {
            Places::Legacy(places) => v1::apply(places, settings),
            Places::Unified(directory) => v2::apply(directory, settings),
        }
    }

    fn restrict_devices(&self, rules: &[LinuxDeviceCgroup]) -> Result<()> {
        let rules = device_rules::with_defaults(rules)?;
        let restricted = match &self.places {
            Places::Legacy(places) => v1::restrict_devices(places, &rules),
            Places::Unified(directory) => v2::restrict_devices(directory, &rules),
        };
        match restricted {
            // The kernel lets nobody without privileges do this, nor make or use a device that is not theirs anyway.
            Err(_) if userns::is_unprivileged() => Ok(()),
            restricted => restricted,
        }
    }

    /// The directory whose process list speaks for the whole cgroup, and whose freezer stops it.
    pub(crate) fn directory(&self) -> Result<&Path> {
        match &self.places {
            Places::Legacy(places) => places
                .iter()
                .find(|place| place.has("freezer"))
                .or(places.first())
                .map(|place| place.directory.as_path())
                .ok_or_else(|| Error::CgroupUnsupported { reason: "no hierarchy is mounted".into() }),
            Places::Unified(directory) => Ok(directory),
        }
    }

    /// Whether the host has version 2 alone.
    pub(crate) fn is_unified(&self) -> bool {
        matches!(self.places, Places::Unified(_))
    }

    /// Every process in it and below it, as the caller sees them.
    pub fn procs(&self) -> Result<Vec<i32>> {
        tree::processes(self.directory()?)
    }

    /// Stops every process in it; returns when all stand still.
    pub fn freeze(&self) -> Result<()> {
        let stopped = match &self.places {
            Places::Legacy(places) => v1::set_frozen(places, v1::FROZEN),
            Places::Unified(directory) => v2::set_frozen(directory, true),
        };
        stopped.inspect_err(|_| {
            let _ = self.thaw();
        })
    }

    /// Lets them run again.
    pub fn thaw(&self) -> Result<()> {
        match &self.places {
            Places::Legacy(places) => v1::set_frozen(places, v1::THAWED),
            Places::Unified(directory) => v2::set_frozen(directory, false),
        }
    }

    /// Whether its processes stand still by [`Cgroup::freeze`].
    pub fn is_frozen(&self) -> bool {
        match &self.places {
            Places::Legacy(places) => v1::is_frozen(places),
            Places::Unified(directory) => v2::is_frozen(directory),
        }
    }

    /// Whether the kernel has killed a process of it for want of memory.
    pub fn oom_killed(&self) -> bool {
        let file = match &self.places {
            Places::Legacy(places) => {
                places.iter().find(|p| p.has("memory")).map(|p| p.directory.join("memory.oom_control"))
            }
            Places::Unified(directory) => Some(directory.join("memory.events")),
        };
        let text = file.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        stats::keyed(&text, "oom_kill") > 0
    }

    /// What the container uses now.
    pub fn stats(&self) -> Stats {
        match &self.places {
            Places::Legacy(places) => stats::of_v1(places),
            Places::Unified(directory) => stats::of_v2(directory),
        }
    }

    fn directories(&self) -> Vec<&Path> {
        match &self.places {
            Places::Legacy(places) => places.iter().map(|place| place.directory.as_path()).collect(),
            Places::Unified(directory) => vec![directory],
        }
    }
}

/// The path without `.` and with a leading slash. `..` would leave the place the caller named.
fn below_root(path: &Path) -> Result<PathBuf> {
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(invalid("linux.cgroupsPath", format!("{} leads elsewhere", path.display())));
            }
        }
    }
    if clean == Path::new("/") {
        return Err(invalid("linux.cgroupsPath", "it names the root of the hierarchy".into()));
    }
    Ok(clean)
}

fn invalid(field: &str, reason: String) -> Error {
    Error::InvalidSpec { field: field.into(), reason }
}

fn make_directory(directory: &Path) -> Result<Made> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::create_dir_all(directory).map(|()| Made::New)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Made::Before),
        result => result.map(|()| Made::New),
    }
    .map_err(|error| failed(directory, "create", error))
}

fn failed(path: &Path, operation: &str, source: io::Error) -> Error {
    Error::Cgroup { path: path.into(), operation: operation.into(), source: source.into() }
}

/// Writes one value to one control file.
fn write_value(file: &Path, value: &str) -> Result<()> {
    fs::write(file, value).map_err(|error| failed(file, &format!("write {value:?}"), error))
}

fn unsupported(setting: &Setting) -> Error {
    Error::CgroupUnsupported { reason: format!("{} is not available on this host", setting.file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_hierarchy() {
        let cases = [
            ("/docker/abc", Some("/docker/abc")),
            ("docker//./abc/", Some("/docker/abc")),
            ("/docker/../abc", None),
            ("/", None),
            ("", None),
        ];
        for (path, expected) in cases {
            assert_eq!(below_root(Path::new(path)).ok(), expected.map(PathBuf::from), "{path}");
        }
    }
}
