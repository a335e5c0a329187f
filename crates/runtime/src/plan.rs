//! What a specification means, worked out before anything is touched. Pure.
//!
//! ```text
//! Spec ──> Plan ┬ namespaces   which are new, which are joined      plan/namespaces.rs
//!               ├ root         where it comes from, how it is seen
//!               ├ mounts       kind, attributes, propagation        plan/mount.rs
//!               ├ sysctls      each with the namespace it belongs to  plan/sysctl.rs
//!               ├ devices, masked, read-only, names
//!               └ process      program, user, rights, limits        plan/process.rs, plan/tuning.rs
//! ```
//!
//! A plan can be made without any privilege; the container's init carries it out.

pub(crate) mod mount;
pub(crate) mod namespaces;
pub(crate) mod process;
pub(crate) mod sysctl;
pub(crate) mod tuning;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use barge_oci::runtime_spec::{Linux, LinuxDevice, LinuxDeviceType, LinuxIdMapping, Spec, User};
use barge_sys::mount::flag;
use barge_sys::namespace::kind;

use crate::error::{Error, Result};
use crate::hooks::HooksPlan;
use crate::net_devices;
use crate::rdt::RdtPlan;
use crate::request::{Request, Root};
use mount::{MountKind, MountPlan};
use namespaces::Namespaces;
use process::ProcessPlan;
use sysctl::Sysctl;

/// Everything that a container's init has to do.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) namespaces: Namespaces,
    pub(crate) ids: IdMaps,
    /// Links of the host to move into the container, with their names there.
    pub(crate) net_devices: BTreeMap<String, String>,
    pub(crate) root: RootPlan,
    pub(crate) mounts: Vec<MountPlan>,
    pub(crate) devices: Vec<DevicePlan>,
    pub(crate) masked: Vec<PathBuf>,
    pub(crate) read_only: Vec<PathBuf>,
    pub(crate) sysctls: Vec<Sysctl>,
    pub(crate) hostname: Option<String>,
    pub(crate) domainname: Option<String>,
    pub(crate) process: ProcessPlan,
    pub(crate) hooks: Option<HooksPlan>,
    pub(crate) rdt: Option<RdtPlan>,
    pub(crate) cgroup: PathBuf,
    /// Whether the container gets to see its cgroup as a root of its own that it may write to.
    pub(crate) delegated: bool,
}

/// The lines of `uid_map` and `gid_map` of a new user namespace.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct IdMaps {
    pub(crate) uids: String,
    pub(crate) gids: String,
}

/// The root filesystem.
#[derive(Debug)]
pub(crate) struct RootPlan {
    pub(crate) source: RootSource,
    pub(crate) read_only: bool,
    /// Whether the filesystem at `/dev` is, once all is in it.
    pub(crate) read_only_devices: bool,
    /// Propagation of the host's mounts in the container's namespace before anything else, as `mount(2)` flags.
    pub(crate) propagation: Propagation,
    /// Whether pivot_root(2) is the way into it. Callers on a ramdisk ask for another.
    pub(crate) pivot: bool,
}

/// Where the root filesystem comes from.
#[derive(Debug)]
pub(crate) enum RootSource {
    Directory(PathBuf),
    Overlay { lower: Vec<PathBuf>, upper: PathBuf, work: PathBuf, volatile: bool },
}

/// A propagation type and whether it reaches the mounts below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Propagation {
    pub(crate) kind: u64,
    pub(crate) recursive: bool,
}

/// A device node to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DevicePlan {
    pub(crate) path: PathBuf,
    pub(crate) kind: rustix::fs::FileType,
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

pub(crate) fn invalid(field: &str, reason: impl Into<String>) -> Error {
    Error::InvalidSpec { field: field.into(), reason: reason.into() }
}

/// What a specification without a `linux` section means: everything is the host's. The default of the type is a container
/// of somebody's taste.
pub(crate) fn no_linux() -> Linux {
    let mut linux = Linux::default();
    linux.set_namespaces(None).set_masked_paths(None).set_readonly_paths(None).set_resources(None);
    linux
}

/// Ids that a new user namespace has no name for can't be taken on in it.
fn check_ids(linux: &Linux, namespaces: &Namespaces, user: Option<&User>) -> Result<()> {
    let uids = linux.uid_mappings().as_deref().unwrap_or_default();
    let gids = linux.gid_mappings().as_deref().unwrap_or_default();
    let mapped = !uids.is_empty() || !gids.is_empty();
    if mapped && !namespaces.separate(kind::USER) {
        let reason = "user namespace mappings specified, but user namespace isn't enabled in the config";
        return Err(invalid("linux.uidMappings", reason));
    }
    if namespaces.new & kind::USER == 0 {
        return Ok(());
    }
    for (field, map) in [("linux.uidMappings", uids), ("linux.gidMappings", gids)] {
        if map.is_empty() {
            return Err(invalid(field, "user namespaces enabled, but no mappings found"));
        }
    }
    let Some(user) = user else { return Ok(()) };
    let groups = user.additional_gids().iter().flatten().copied();
    let wanted = [("process.user.uid", uids, user.uid()), ("process.user.gid", gids, user.gid())]
        .into_iter()
        .chain(groups.map(|group| ("process.user.additionalGids", gids, group)));
    for (field, map, id) in wanted {
        let has = |m: &LinuxIdMapping| id.checked_sub(m.container_id()).is_some_and(|at| at < m.size());
        if !map.iter().any(has) {
            return Err(invalid(field, format!("{id} is not mapped in the user namespace")));
        }
    }
    Ok(())
}

impl IdMaps {
    pub(crate) fn of(uids: Option<&[LinuxIdMapping]>, gids: Option<&[LinuxIdMapping]>) -> Self {
        Self { uids: id_map(uids), gids: id_map(gids) }
    }

    /// The host's number of a user of the namespace.
    pub(crate) fn host_uid(&self, inside: u32) -> Option<u32> {
        self.uids.lines().find_map(|line| {
            let mut numbers = line.split_whitespace().map(|number| number.parse::<u32>().ok());
            let (first, host, size) = (numbers.next()??, numbers.next()??, numbers.next()??);
            inside.checked_sub(first).filter(|at| *at < size).and_then(|at| host.checked_add(at))
        })
    }
}

impl Plan {
    /// Refuses what would change the host instead of the container. `netns` tells whether the container gets a
    /// network namespace besides those of the plan.
    pub(crate) fn check_separate(&self, netns: bool) -> Result<()> {
        let separate = |wanted: u64| self.namespaces.separate(wanted) || (wanted == kind::NET && netns);
        let named = self.hostname.is_some() || self.domainname.is_some();
        if named && !separate(kind::UTS) {
            return Err(invalid("hostname", "can't be set without a private UTS namespace"));
        }
        if !self.net_devices.is_empty() && !separate(kind::NET) {
            return Err(invalid("linux.netDevices", "need a private network namespace"));
        }
        match self.sysctls.iter().find(|sysctl| !separate(sysctl.namespace)) {
            Some(sysctl) => {
                let reason = format!("{:?} is not in a separate kernel namespace", sysctl.path);
                Err(invalid("linux.sysctl", reason))
            }
            None => Ok(()),
        }
    }

    /// Works out what the request asks for.
    pub(crate) fn new(request: &Request) -> Result<Self> {
        let spec = &request.spec;
        let absent = process::absent();
        let process = spec.process().as_ref().unwrap_or(&absent);
        let none = no_linux();
        let linux = spec.linux().as_ref().unwrap_or(&none);
        let namespaces = Namespaces::of(linux)?;
        // A user by name has numbers only inside the container.
        check_ids(linux, &namespaces, request.user.is_none().then_some(process.user()))?;
        let mut mounts = mounts(request, linux)?;
        let put_off = mounts.iter_mut().filter_map(|mount| mount.put_off_read_only().then_some(())).count();
        // A relative one starts at the root, as it does for runc.
        let protected = linux.readonly_paths().iter().flatten().map(|path| Path::new("/").join(path));
        // What is over the root would be above the container, not under it.
        let (roots, read_only): (Vec<_>, Vec<_>) = protected.partition(|path| is_root(path));
        let writable = |mount: &MountPlan| mount.kind == MountKind::Cgroup && !mount.is_read_only();
        Ok(Self {
            delegated: namespaces.new & kind::CGROUP != 0 && mounts.iter().any(writable),
            namespaces,
            net_devices: net_devices::of(linux)?,
            ids: IdMaps::of(linux.uid_mappings().as_deref(), linux.gid_mappings().as_deref()),
            root: RootPlan { read_only_devices: put_off > 0, ..root(request, linux, !roots.is_empty())? },
            mounts,
            devices: linux.devices().iter().flatten().map(device).collect::<Result<_>>()?,
            masked: masked(linux)?,
            read_only,
            sysctls: sysctl::of(linux)?,
            hostname: spec.hostname().clone().filter(|name| !name.is_empty()),
            domainname: spec.domainname().clone().filter(|name| !name.is_empty()),
            process: ProcessPlan::of(process, linux, request.user.clone(), request.groups.clone())?,
            hooks: HooksPlan::of(spec, &request.id, &request.bundle)?,
            rdt: RdtPlan::of(linux, &request.id)?,
            cgroup: cgroup_path(spec, &request.id),
        })
    }
}

fn mounts(request: &Request, linux: &Linux) -> Result<Vec<MountPlan>> {
    let label = linux.mount_label().as_deref();
    let plan = |mount| MountPlan::of(mount).map(|plan| plan.in_bundle(&request.bundle).label(label));
    request.spec.mounts().iter().flatten().map(plan).collect()
}

/// Refuses versions of the specification that are none (of SemVer 2.0.0), or whose first number is not ours.
pub(crate) fn check_version(text: &str) -> Result<()> {
    let (numbers, rest) = text.find(['-', '+']).map_or((text, None), |at| {
        let (numbers, rest) = text.split_at(at);
        (numbers, Some(&rest[1..]))
    });
    let number = |part: &str| {
        let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        plain && !part.is_empty()
    };
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let formed = numbers.split('.').count() == 3
        && numbers.split('.').all(number)
        && rest.is_none_or(|rest| rest.split(['.', '+']).all(word));
    match formed {
        false => Err(invalid("ociVersion", format!("{text:?} is not a version"))),
        true if numbers.starts_with("1.") => Ok(()),
        true => Err(invalid("ociVersion", format!("{text:?} is not supported"))),
    }
}

/// The cgroup of a container whose specification names none is below `/barge`.
pub fn cgroup_path(spec: &Spec, id: &str) -> PathBuf {
    let named = spec.linux().as_ref().and_then(|linux| linux.cgroups_path().clone());
    named.filter(|path| !path.as_os_str().is_empty()).unwrap_or_else(|| Path::new("/barge").join(id))
}

fn root(request: &Request, linux: &Linux, protected: bool) -> Result<RootPlan> {
    let root = request.spec.root().as_ref();
    let source = match &request.root {
        Root::Overlay { lower, upper, work, volatile } => RootSource::Overlay {
            lower: lower.clone(),
            upper: upper.clone(),
            work: work.clone(),
            volatile: *volatile,
        },
        Root::Bundle => {
            let root = root.ok_or_else(|| invalid("root", "is missing"))?;
            if root.path().as_os_str().is_empty() {
                return Err(invalid("root.path", "is missing"));
            }
            RootSource::Directory(request.bundle.join(root.path()))
        }
    };
    let propagation = match linux.rootfs_propagation().as_deref() {
        None | Some("") => Propagation { kind: flag::SLAVE, recursive: true },
        Some(name) => mount::propagation(name)
            .ok_or_else(|| invalid("linux.rootfsPropagation", format!("{name:?} is unknown")))?,
    };
    Ok(RootPlan {
        source,
        read_only: protected || root.is_some_and(|r| r.readonly() == Some(true)),
        read_only_devices: false,
        propagation,
        pivot: true,
    })
}

fn id_map(mappings: Option<&[LinuxIdMapping]>) -> String {
    let lines = mappings.unwrap_or_default().iter();
    lines.map(|m| format!("{} {} {}\n", m.container_id(), m.host_id(), m.size())).collect()
}

fn masked(linux: &Linux) -> Result<Vec<PathBuf>> {
    let field = "linux.maskedPaths";
    let path = |text: &String| match Path::new(text) {
        path if !path.is_absolute() => Err(invalid(field, format!("{text:?} is not absolute"))),
        path if is_root(path) => Err(invalid(field, format!("{text:?} is the root, which can't be masked"))),
        path => Ok(path.to_owned()),
    };
    linux.masked_paths().iter().flatten().map(path).collect()
}

/// Whether a path names the root without looking at anything.
fn is_root(path: &Path) -> bool {
    !path.components().any(|part| matches!(part, Component::Normal(_)))
}

fn device(device: &LinuxDevice) -> Result<DevicePlan> {
    use rustix::fs::FileType;
    let field = "linux.devices";
    let kind = match device.typ() {
        LinuxDeviceType::B => FileType::BlockDevice,
        LinuxDeviceType::C | LinuxDeviceType::U => FileType::CharacterDevice,
        LinuxDeviceType::P => FileType::Fifo,
        LinuxDeviceType::A => return Err(invalid(field, "type a is not a device")),
    };
    let number = |n: i64| u32::try_from(n).map_err(|_| invalid(field, format!("{n} is no device number")));
    if !device.path().is_absolute() {
        return Err(invalid(field, format!("{:?} is not absolute", device.path())));
    }
    Ok(DevicePlan {
        path: device.path().clone(),
        kind,
        major: number(device.major())?,
        minor: number(device.minor())?,
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_semantic_and_of_the_first_major() {
        for (text, good) in [
            ("1.0.0", true),
            ("1.2.1", true),
            ("1.0.0-rc5", true),
            ("1.0.2-dev+build.7", true),
            ("1.0", false),
            ("1.0.0.0", false),
            ("1.x.0", false),
            ("1.01.0", false),
            ("1.0.0-", false),
            ("2.0.0", false),
            ("0.2.0", false),
            ("10.0.0", false),
            ("", false),
        ] {
            assert_eq!(check_version(text).is_ok(), good, "{text:?}");
        }
    }

    #[test]
    fn a_cgroup_without_a_name_is_the_containers_own() {
        let spec: Spec = serde_json::from_str(r#"{"linux":{"cgroupsPath":"/docker/x"}}"#).unwrap();
        assert_eq!(cgroup_path(&spec, "id"), Path::new("/docker/x"));
        let spec: Spec = serde_json::from_str("{}").unwrap();
        assert_eq!(cgroup_path(&spec, "id"), Path::new("/barge/id"));
    }

    #[test]
    fn the_root_is_no_path_to_be_masked() {
        for (path, good) in
            [("/proc/kcore", true), ("/", false), ("/./", false), ("/..", false), ("x", false)]
        {
            let linux = serde_json::from_value(serde_json::json!({"maskedPaths": [path]})).unwrap();
            assert_eq!(masked(&linux).is_ok(), good, "{path}");
        }
    }

    #[test]
    fn without_a_linux_section_nothing_is_the_containers_own() {
        let empty: Linux = serde_json::from_str("{}").unwrap();
        assert_eq!(no_linux(), empty);
    }

    #[test]
    fn users_of_a_namespace_have_numbers_outside() {
        let ids = IdMaps { uids: "0 100000 1000\n 5000   7 1\n".into(), gids: String::new() };
        for (inside, outside) in
            [(0, Some(100_000)), (999, Some(100_999)), (1000, None), (5000, Some(7)), (5001, None)]
        {
            assert_eq!(ids.host_uid(inside), outside, "{inside}");
        }
    }

    #[test]
    fn ids_have_to_be_mapped_in_a_new_user_namespace() {
        let map = r#"[{"containerID":0,"hostID":9,"size":10},{"containerID":50,"hostID":90,"size":1}]"#;
        let cases = [
            ("", "", r#"{"uid":0,"gid":0}"#, true),
            ("", map, r#"{"uid":0,"gid":0}"#, false),
            (r#",{"type":"user"}"#, "", r#"{"uid":0,"gid":0}"#, false),
            (r#",{"type":"user"}"#, map, r#"{"uid":9,"gid":50,"additionalGids":[50,3]}"#, true),
            (r#",{"type":"user"}"#, map, r#"{"uid":10,"gid":0}"#, false),
            (r#",{"type":"user"}"#, map, r#"{"uid":0,"gid":49}"#, false),
            (r#",{"type":"user"}"#, map, r#"{"uid":0,"gid":0,"additionalGids":[51]}"#, false),
        ];
        for (namespace, map, user, good) in cases {
            let map = if map.is_empty() { "[]" } else { map };
            let linux: Linux = serde_json::from_str(&format!(
                r#"{{"namespaces":[{{"type":"mount"}}{namespace}],"uidMappings":{map},"gidMappings":{map}}}"#
            ))
            .unwrap();
            let namespaces = Namespaces::of(&linux).unwrap();
            let user: User = serde_json::from_str(user).unwrap();
            assert_eq!(check_ids(&linux, &namespaces, Some(&user)).is_ok(), good, "{namespace} {user:?}");
        }
    }
}
