//! Saving a container: what CRIU has to be told of it, and what becomes of it when that fails.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use barge_oci::runtime_spec::{Linux, Spec};
use barge_sys::namespace::kind;
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, StatxFlags};

use super::external::{self, Bind, Cgroups};
use super::options::{self, Directories, Options};
use super::rpc::{CriuOptions, Features, Kind, Notice};
use super::service::{Criu, Launch, text};
use super::{descriptors, mount_table, namespaces_of};
use crate::cgroup::{Cgroup, Layout};
use crate::error::{Error, Result};
use crate::init::devices;
use crate::init::target::RootDirectory;
use crate::plan::mount::MountPlan;
use crate::plan::namespaces;

/// A container to save.
#[derive(Debug)]
pub(crate) struct Dump<'a> {
    pub(crate) options: &'a Options,
    /// Number of a descriptor to write a zero byte to, once memory pages are served.
    pub(crate) status_fd: Option<i32>,
    pub(crate) spec: &'a Spec,
    pub(crate) bundle: &'a Path,
    pub(crate) rootfs: &'a Path,
    pub(crate) pid: i32,
    pub(crate) cgroup: &'a Cgroup,
}

/// Versions of CRIU that can do more than the oldest.
const EXTERNAL_NET: i32 = 31_100;
const EXTERNAL_PID: i32 = 31_500;
const UNIFIED_FREEZER: i32 = 31_400;
const STATUS_NOTICE: i32 = 31_500;

impl Dump<'_> {
    /// Writes the images. The container is gone then, unless it is to be left running; after a failure it is as it
    /// was before.
    pub(crate) fn perform(&self) -> Result<()> {
        let frozen = self.cgroup.is_frozen();
        self.attempt().inspect_err(|_| {
            // CRIU lets it go on by itself, unless it dies too early for that.
            if !frozen && self.cgroup.is_frozen() {
                let _ = self.cgroup.thaw();
            }
        })
    }

    fn attempt(&self) -> Result<()> {
        let chosen = self.options;
        let status = self.status_fd.map(open_status).transpose()?;
        let criu = Criu::find(&chosen.criu)?;
        options::make(&chosen.images, root_group(self.pid))?;
        self.check_parent()?;
        self.check_features(&criu)?;
        let directories = Directories::open(chosen, "dump.log")?;
        let mut request = self.request(&criu, &directories)?;
        if chosen.pre_dump {
            let service = criu.start(Launch::default(), |_| Ok(()))?;
            return service.perform(Kind::PreDump, request, &directories, |_, _| Ok(())).map(drop);
        }
        let linux = Linux::default();
        let linux = self.spec.linux().as_ref().unwrap_or(&linux);
        self.name_externals(&criu, linux, &directories, &mut request)?;
        let mut status = match criu.version < STATUS_NOTICE {
            true => {
                request.status_fd = self.status_fd;
                None
            }
            false => status,
        };
        let heed = |notice: &Notice, _| {
            match (notice.script(), status.take()) {
                // Whoever waits for it may have gone.
                ("status-ready", Some(mut file)) => drop(file.write_all(&[0])),
                (_, kept) => status = kept,
            }
            Ok(())
        };
        let service = criu.start(Launch::default(), |_| Ok(()))?;
        service.perform(Kind::Dump, request, &directories, heed).map(drop)
    }

    /// The images of a pre-dump are found from these ones, wherever both are moved.
    fn check_parent(&self) -> Result<()> {
        let Some(parent) = &self.options.parent else { return Ok(()) };
        let refused = |reason: String| Err(Error::Usage { reason });
        if parent.is_absolute() {
            return refused("--parent-path must be relative".into());
        }
        let path = self.options.images.join(parent);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => Ok(()),
            Ok(_) => refused(format!("invalid --parent-path: {}: not a directory", path.display())),
            Err(error) => {
                let cause = crate::error::Cause::from(error);
                refused(format!("invalid --parent-path: {}: {cause}", path.display()))
            }
        }
    }

    fn check_features(&self, criu: &Criu) -> Result<()> {
        let wanted = Features {
            mem_track: self.options.pre_dump.then_some(true),
            lazy_pages: self.options.lazy_pages.then_some(true),
        };
        if wanted == Features::default() { Ok(()) } else { criu.check_features(wanted) }
    }

    fn request(&self, criu: &Criu, directories: &Directories) -> Result<CriuOptions> {
        let chosen = self.options;
        let parent = chosen.parent.as_deref().map(text);
        let freezes = !self.cgroup.is_unified() || criu.version >= UNIFIED_FREEZER;
        let freezer = if freezes { Some(text(self.cgroup.directory()?)) } else { None };
        Ok(CriuOptions {
            pid: Some(self.pid),
            root: Some(text(self.rootfs)),
            leave_running: Some(chosen.leave_running),
            tcp_skip_in_flight: Some(chosen.tcp_skip_in_flight),
            link_remap: Some(chosen.link_remap),
            page_server: chosen.page_server.clone(),
            track_mem: parent.as_ref().map(|_| true),
            parent_img: parent,
            freeze_cgroup: freezer,
            ..chosen.shared(directories, self.spec)
        })
    }

    /// Adds what the images are not to contain.
    fn name_externals(
        &self,
        criu: &Criu,
        linux: &Linux,
        directories: &Directories,
        request: &mut CriuOptions,
    ) -> Result<()> {
        let namespaces = namespaces_of(linux)?;
        let joined = |wanted| namespaces.join.iter().any(|(kind, _)| *kind == wanted);
        for (wanted, version) in [(kind::NET, EXTERNAL_NET), (kind::PID, EXTERNAL_PID)] {
            if joined(wanted) {
                criu.check(version, "a namespace joined by path")?;
                let inode = self.namespace(wanted)?;
                let key = namespace_key(wanted);
                request.external.push(format!("{}[{inode}]:{key}", namespaces::name(wanted)));
            }
        }
        let container = mount_table::of_process(&self.pid.to_string())?;
        let host = mount_table::of_process("self")?;
        let mounts: Vec<MountPlan> =
            self.spec.mounts().iter().flatten().map(MountPlan::of).collect::<Result<_>>()?;
        let root = self.root()?;
        let binds = Bind::all(&mounts, self.bundle, |destination| mount_at(&root, destination));
        let layout = Layout::of_host()?;
        let private = namespaces.separate(kind::CGROUP);
        let cgroups = Cgroups { layout: &layout, path: self.cgroup.path(), private };
        request.ext_mnt = external::of_dump(&container, &host, &binds, &device_paths(linux), &cgroups);
        let streams = descriptors::of_process(self.pid, &container);
        request.external.extend(descriptors::external(&streams));
        descriptors::save(&directories.images, &streams)
    }

    fn namespace(&self, wanted: u64) -> Result<u64> {
        let kind = namespaces::name(wanted);
        let path = PathBuf::from(format!("/proc/{}/ns/{kind}", self.pid));
        fs::metadata(&path).map(|metadata| metadata.ino()).map_err(|error| Error::NamespaceOpen {
            kind: kind.into(),
            path,
            source: error.into(),
        })
    }

    /// The container's root as it is now.
    fn root(&self) -> Result<RootDirectory> {
        let path = PathBuf::from(format!("/proc/{}/root", self.pid));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, &path, flags, Mode::empty());
        root.map(RootDirectory::new).map_err(|errno| Error::RootFs { path, source: errno.into() })
    }
}

/// How a namespace that is joined by path is called in the images.
pub(super) fn namespace_key(wanted: u64) -> &'static str {
    match wanted {
        kind::PID => "extRootPidNS",
        _ => "extRootNetNS",
    }
}

/// Where a container may have devices of the host.
pub(super) fn device_paths(linux: &Linux) -> Vec<PathBuf> {
    let own = linux.devices().iter().flatten().map(|device| device.path().clone());
    devices::standard().chain(own).collect()
}

fn mount_at(root: &RootDirectory, destination: &Path) -> Option<u64> {
    let place = root.find(destination).ok()?;
    let stat = rustix::fs::statx(&place, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok()?;
    Some(stat.stx_mnt_id)
}

/// The group of the container's root, where that is not the host's: CRIU reads images with its rights too.
fn root_group(pid: i32) -> Option<Gid> {
    let map = fs::read_to_string(format!("/proc/{pid}/gid_map")).ok()?;
    host_id_of_root(&map).filter(|group| *group != 0).map(Gid::from_raw)
}

/// Reads lines of user_namespaces(7), `INSIDE OUTSIDE COUNT`.
fn host_id_of_root(map: &str) -> Option<u32> {
    map.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        (fields.next()? == "0").then(|| fields.next()?.parse().ok())?
    })
}

/// Opens the descriptor of that number once more, for writing.
fn open_status(number: i32) -> Result<fs::File> {
    let refused =
        |reason: &str| Error::Usage { reason: format!("invalid --status-fd argument {number}: {reason}") };
    let information = fs::read_to_string(format!("/proc/self/fdinfo/{number}"))
        .map_err(|_| refused("bad file descriptor"))?;
    let flags = information.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok()).unwrap_or_default();
    if flags & OFlags::RWMODE.bits() == OFlags::RDONLY.bits() {
        return Err(refused("not writable"));
    }
    let path = format!("/proc/self/fd/{number}");
    // Not to wait for a reader.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty());
    opened.map(fs::File::from).map_err(|errno| refused(&errno.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_of_root_is_the_one_that_zero_stands_for() {
        for (map, expected) in [
            ("         0          0 4294967295\n", Some(0)),
            ("      1000       5000         10\n         0     100000       1000\n", Some(100_000)),
            ("      1000       5000         10\n", None),
            ("0", None),
        ] {
            assert_eq!(host_id_of_root(map), expected, "{map}");
        }
    }
}
