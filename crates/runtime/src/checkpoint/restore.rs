//! Bringing a container back from its images, as a child of this process.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use barge_oci::runtime_spec::{Linux, Spec};
use barge_sys::namespace::kind;

use super::dump::{device_paths, namespace_key};
use super::external::{self, Cgroups};
use super::options::{Directories, Options};
use super::rpc::{CgroupRoot, CriuOptions, InheritedFd, JoinedNamespace, Kind, Notice};
use super::service::{Criu, Launch, Service, Streams, number, text};
use super::{descriptors, mount_table, namespaces_of, places};
use crate::cgroup::{Cgroup, Entry, Layout};
use crate::error::{Error, Result};
use crate::hooks::HooksPlan;
use crate::net_devices;
use crate::plan::mount::MountPlan;
use crate::plan::namespaces::{self, Namespaces};

/// A container to bring back. Its cgroup exists.
#[derive(Debug)]
pub(crate) struct Restore<'a> {
    pub(crate) options: &'a Options,
    pub(crate) spec: &'a Spec,
    pub(crate) bundle: &'a Path,
    pub(crate) rootfs: &'a Path,
    /// An empty directory, absolute: the root filesystem is there while CRIU works, for nobody else to see.
    pub(crate) place: &'a Path,
    pub(crate) cgroup: &'a Cgroup,
    pub(crate) hooks: Option<&'a HooksPlan>,
    /// Whether our standard streams take the place of those that are lost.
    pub(crate) own_streams: bool,
}

/// A container that is back.
#[derive(Debug)]
pub(crate) struct Restored {
    /// Its init, a child of ours.
    pub(crate) pid: i32,
    /// The master of its terminal, if that was outside.
    pub(crate) console: Option<OwnedFd>,
}

const LOG: &str = "restore.log";
const LSM_OPTIONS: i32 = 31_600;

impl Restore<'_> {
    /// Makes the processes. `save` gets the pid of the container's init before it runs. After a failure there may be
    /// processes left in the cgroup for a moment, and nothing else.
    pub(crate) fn perform(&self, save: impl Fn(i32) -> Result<()>) -> Result<Restored> {
        let linux = Linux::default();
        let linux = self.spec.linux().as_ref().unwrap_or(&linux);
        let criu = Criu::find(&self.options.criu)?;
        self.check_options(&criu)?;
        let mut directories = Directories::open(self.options, LOG)?;
        let namespaces = namespaces_of(linux)?;
        let mounts: Vec<MountPlan> =
            self.spec.mounts().iter().flatten().map(MountPlan::of).collect::<Result<_>>()?;
        let (joins, mut passed) = self.join(&namespaces)?;
        let inherited = self.streams(&directories, &mut passed)?;
        let entry = self.cgroup.entry()?;
        let service = self.start(&criu, &entry, &passed, &mounts)?;
        directories.replace(service.given()?);
        let mut request = self.request(&directories, linux, &namespaces, &mounts)?;
        request.inherit_fd = joins.inherit_fd.into_iter().chain(inherited).collect();
        request.join_ns = joins.join_ns;
        request.cg_root = cgroups_of(service.pid)?;
        let mut console = None;
        let heed = |notice: &Notice, fds: Vec<OwnedFd>| match notice.script() {
            // The processes don't run yet, but the namespaces are there.
            "setup-namespaces" => {
                make_network(notice.pid(), &namespaces, linux)?;
                self.hooks.map_or(Ok(()), |hooks| hooks.create_in_runtime(notice.pid()))
            }
            "post-restore" => save(notice.pid()),
            "orphan-pts-master" => {
                console = console.take().or(fds.into_iter().next());
                Ok(())
            }
            _ => Ok(()),
        };
        let response = service.perform(Kind::Restore, request, &directories, heed)?;
        let pid = response.restore.map(|restored| restored.pid).ok_or(Error::InitDied)?;
        Ok(Restored { pid, console })
    }

    fn check_options(&self, criu: &Criu) -> Result<()> {
        if self.options.lsm_profile.is_some() {
            criu.check(LSM_OPTIONS, "--lsm-profile")?;
        }
        if self.options.lsm_mount_context.is_some() {
            criu.check(LSM_OPTIONS, "--lsm-mount-context")?;
        }
        Ok(())
    }

    fn request(
        &self,
        directories: &Directories,
        linux: &Linux,
        namespaces: &Namespaces,
        mounts: &[MountPlan],
    ) -> Result<CriuOptions> {
        let layout = Layout::of_host()?;
        let private = namespaces.separate(kind::CGROUP);
        let cgroups = Cgroups { layout: &layout, path: self.cgroup.path(), private };
        let host = mount_table::of_process("self")?;
        Ok(CriuOptions {
            root: Some(text(self.place)),
            evasive_devices: Some(true),
            rst_sibling: Some(true),
            ext_mnt: external::of_restore(&host, mounts, self.bundle, &device_paths(linux), &cgroups),
            lsm_profile: self.options.lsm_profile.clone(),
            lsm_mount_context: self.options.lsm_mount_context.clone(),
            ..self.options.shared(directories, self.spec)
        })
    }

    /// What takes the place of streams that are lost; those of it that CRIU gets besides ours go to `passed`.
    fn streams(&self, directories: &Directories, passed: &mut Vec<OwnedFd>) -> Result<Vec<InheritedFd>> {
        let streams = descriptors::load(&directories.images)?;
        if !self.own_streams {
            return Ok(Vec::new());
        }
        let null = descriptors::null_device(&streams)?;
        let inherited = descriptors::inherited(&streams, null.as_ref());
        passed.extend(null);
        Ok(inherited)
    }

    /// Names the namespaces that are there already; CRIU gets the returned ones by descriptor.
    fn join(&self, namespaces: &Namespaces) -> Result<(CriuOptions, Vec<OwnedFd>)> {
        let mut request = CriuOptions::default();
        let mut opened = Vec::new();
        for (joined, path) in &namespaces.join {
            match *joined {
                kind::NET | kind::PID => {
                    let file = fs::File::open(path).map_err(|error| Error::NamespaceOpen {
                        kind: namespaces::name(*joined).into(),
                        path: path.clone(),
                        source: error.into(),
                    })?;
                    let fd = OwnedFd::from(file);
                    request
                        .inherit_fd
                        .push(InheritedFd { key: namespace_key(*joined).into(), fd: number(&fd) });
                    opened.push(fd);
                }
                kind::CGROUP => {
                    let reason = "CRIU can't restore into a cgroup namespace joined by path".into();
                    return Err(Error::CriuUnusable { reason });
                }
                _ => request
                    .join_ns
                    .push(JoinedNamespace { kind: namespaces::name(*joined).into(), file: text(path) }),
            }
        }
        Ok((request, opened))
    }

    fn start(&self, criu: &Criu, entry: &Entry, passed: &[OwnedFd], mounts: &[MountPlan]) -> Result<Service> {
        let launch = Launch {
            streams: if self.own_streams { Streams::Own } else { Streams::Null },
            of_our_job: self.options.shell_job,
            namespaces: kind::MOUNT,
            entry: Some(entry),
            passed: passed.iter().collect(),
        };
        criu.start(launch, |socket| {
            places::prepare(self.rootfs, self.place, mounts, self.bundle)?;
            // It can mount nothing below a directory that was opened in another mount namespace.
            Directories::open(self.options, LOG)?.send(socket)
        })
    }
}

/// Puts into a network namespace of the container's own what creating it would: CRIU leaves it empty.
fn make_network(pid: i32, namespaces: &Namespaces, linux: &Linux) -> Result<()> {
    if namespaces.new & kind::NET == 0 {
        return Ok(());
    }
    let path = Path::new("/proc").join(pid.to_string()).join("ns/net");
    let file = fs::File::open(&path).map_err(|error| Error::NamespaceOpen {
        kind: namespaces::name(kind::NET).into(),
        path,
        source: error.into(),
    })?;
    net_devices::take_up_loopback_in(file.as_fd())?;
    net_devices::move_all(&net_devices::of(linux)?, file.as_fd())
}

/// The cgroups of CRIU itself: the container's, and the host's where the container has none of its own.
fn cgroups_of(pid: i32) -> Result<Vec<CgroupRoot>> {
    let path = Path::new("/proc").join(pid.to_string()).join("cgroup");
    let text = fs::read_to_string(&path).map_err(|error| Error::File {
        operation: "read".into(),
        path,
        source: error.into(),
    })?;
    Ok(cgroup_roots(&text))
}

/// Reads lines of cgroups(7), `ID:CONTROLLERS:PATH`.
fn cgroup_roots(text: &str) -> Vec<CgroupRoot> {
    let root = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        let (controllers, path) = rest.split_once(':')?;
        let one = |controller: &str| CgroupRoot { controller: Some(controller.into()), path: path.into() };
        Some(controllers.split(',').map(one).collect::<Vec<_>>())
    };
    text.lines().filter_map(root).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_controller_has_its_root() {
        let roots = cgroup_roots("5:cpu,cpuacct:/a\n1:name=systemd:/b\n0::/c:d\nnonsense\n");
        let roots: Vec<(&str, &str)> =
            roots.iter().map(|root| (root.controller(), root.path.as_str())).collect();
        assert_eq!(roots, [("cpu", "/a"), ("cpuacct", "/a"), ("name=systemd", "/b"), ("", "/c:d")]);
    }
}
