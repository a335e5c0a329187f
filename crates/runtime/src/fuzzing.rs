//! Doors for the fuzz targets in `fuzz/`, which see nothing else of what this crate does before it touches anything.
//!
//! Each takes bytes that somebody hostile may have written, does all that is done with them up to the first system
//! call, and panics where a promise is broken. Built for fuzzing and for tests alone; what a fuzzer finds stays below
//! as a case.

use std::path::{Component, Path, PathBuf};

use barge_oci::runtime_spec::{LinuxSeccomp, Mount, Process, Spec};
use barge_sys::mount::{Change, attr};

use crate::plan::mount::MountPlan;
use crate::plan::process::ProcessPlan;
use crate::plan::{Plan, check_version};
use crate::process::users::Databases;
use crate::request::{Request, Root};
use crate::{cgroup, document, seccomp};

/// A `config.json`, or the process file of `exec`.
pub fn config(bytes: &[u8]) {
    if let Ok((process, _)) = document::process(bytes) {
        added_process(&process);
    }
    let Ok((spec, _)) = document::spec(bytes) else { return };
    let text = serde_json::to_vec(&spec).expect("a specification can be kept");
    let kept: Spec = serde_json::from_slice(&text).expect("what is kept can be read back");
    assert_eq!(kept, spec, "what is kept is what was read");
    let _ = check_version(spec.version());
    if let Some(resources) = spec.linux().as_ref().and_then(|linux| linux.resources().as_ref()) {
        cgroup::rehearse(resources);
    }
    let request = Request {
        id: "id".into(),
        bundle: "/bundle".into(),
        spec,
        root: Root::Bundle,
        user: None,
        groups: Vec::new(),
        seccomp_cache: None,
    };
    if let Ok(plan) = Plan::new(&request) {
        let _ = plan.check_separate(false);
        planned(&plan);
    }
}

fn added_process(process: &Process) {
    let linux = Default::default();
    let _ = ProcessPlan::of(process, &linux, None, Vec::new());
}

fn planned(plan: &Plan) {
    let below = |top: &str, path: &Path| {
        path.starts_with(top) && path.components().all(|part| part != Component::ParentDir)
    };
    for sysctl in &plan.sysctls {
        let path = Path::new("/proc/sys").join(&sysctl.path);
        assert!(below("/proc/sys", &path), "a sysctl leads to {path:?}");
    }
    plan.mounts.iter().for_each(mount_planned);
    let inside =
        plan.masked.iter().chain(&plan.read_only).chain(plan.devices.iter().map(|device| &device.path));
    inside.for_each(|path| assert!(path.is_absolute(), "{path:?} is not absolute"));
    if let Some(path) = cgroup::rehearse_path(&plan.cgroup) {
        assert!(below("/hierarchy", &path) && path != Path::new("/hierarchy"), "a cgroup leads to {path:?}");
    }
}

fn mount_planned(plan: &MountPlan) {
    let mut parts = plan.destination.components();
    assert_eq!(parts.next(), Some(Component::RootDir), "{plan:?}");
    assert!(parts.clone().count() > 0 && parts.all(|part| matches!(part, Component::Normal(_))), "{plan:?}");
    for Change { set, clear, .. } in [plan.own, plan.tree] {
        assert_eq!(set & clear & !attr::ATIME, 0, "{plan:?} sets and clears the same");
        assert!(set & attr::ATIME == 0 || clear & attr::ATIME == attr::ATIME, "{plan:?}");
    }
}

/// A seccomp profile.
pub fn seccomp(bytes: &[u8]) {
    if let Ok(profile) = serde_json::from_slice::<LinuxSeccomp>(bytes) {
        seccomp::rehearse(&profile);
    }
}

/// Mounts, one after the other: lines with destination, type, source and options with commas between them.
pub fn mounts(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n');
    while let Some(destination) = lines.next() {
        let mut mount = Mount::default();
        mount
            .set_destination(destination.into())
            .set_typ(lines.next().map(str::to_owned))
            .set_source(lines.next().map(PathBuf::from))
            .set_options(lines.next().map(|words| words.split(',').map(str::to_owned).collect()));
        if let Ok(plan) = MountPlan::of(&mount) {
            mount_planned(&plan.label(Some("label")));
        }
    }
}

/// Who is looked up, and after zero bytes the passwd and the group file.
pub fn users(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.split('\0');
    let mut part = || parts.next().unwrap_or_default();
    let wanted = part();
    let databases = Databases::of(part().into(), part().into());
    if let Ok(identity) = databases.look_up(wanted) {
        assert!(!identity.home.is_empty(), "{identity:?} lives nowhere");
        assert!(!databases.home(identity.uid).is_empty());
    }
    let _ = databases.group(wanted);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_formed_passes_through_every_door() {
        config(br#"{"ociVersion":"1.0.0","root":{"path":"r"},"linux":{"resources":{"devices":[{"allow":false}]}}}"#);
        config(br#"{"user":{"uid":0,"gid":0},"args":["a"],"cwd":"/"}"#);
        seccomp(br#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"}]}"#);
        mounts(b"/a\ntmpfs\ntmpfs\nro,size=1\n/b\nbind\n/c\nrbind,rro,noatime");
        users(b"a:g\0a:x:1:2::/h\0g:x:3:a");
    }
}
