//! Taking on the user, limits and rights of a container's process.
//!
//! The order matters: limits while they can still be raised, the filter while `CAP_SYS_ADMIN` is there (or last,
//! under no-new-privileges), the bound before the ids, the ids before the sets, the directory once as root and once
//! more as the user where root was kept out.

use std::ffi::CString;
use std::path::Path;

use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, Rlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, Gid, Uid};

use super::streams;
use super::users::{Databases, Identity};
use crate::channel::Channel;
use crate::error::{Error, Result};
use crate::plan::process::{CapabilityPlan, LimitPlan, ProcessPlan};
use crate::seccomp::Filter;

const LAST_CAPABILITY: u32 = 63;

fn attribute(what: &str) -> impl Fn(Errno) -> Error {
    move |errno| Error::Attribute { what: what.to_owned(), source: errno.into() }
}

/// Becomes the user of `plan` with its rights. Returns the environment to run the program with.
///
/// What can't be had exactly but does no harm is added to `warnings`.
pub(crate) fn assume(
    plan: &ProcessPlan,
    filter: Option<&Filter>,
    channel: &Channel,
    warnings: &mut Vec<String>,
) -> Result<Vec<CString>> {
    let (identity, chosen) = resolve(plan)?;
    for limit in &plan.limits {
        set_limit(*limit, warnings)?;
    }
    let mut entered = enter(&plan.directory)?;
    if identity.uid != 0 {
        streams::give_to(identity.uid)?;
    }
    if plan.no_new_privileges {
        rustix::thread::set_no_new_privs(true).map_err(attribute("no-new-privileges"))?;
    } else if let Some(filter) = filter {
        filter.load(channel)?;
    }
    let sets = match chosen {
        Chosen::ByName if identity.uid != 0 => plan.capabilities.bounding_only(),
        _ => plan.capabilities,
    };
    drop_bounding(sets.bounding)?;
    rustix::thread::set_keep_capabilities(true).map_err(attribute("keep capabilities"))?;
    set_ids(&identity, !plan.user.groups.is_empty() || !plan.user.more_groups.is_empty())?;
    rustix::thread::set_keep_capabilities(false).map_err(attribute("keep capabilities"))?;
    if !entered {
        entered = enter(&plan.directory)?;
    }
    if !entered {
        return Err(Error::WorkingDirectory { path: plan.directory.clone(), source: Errno::ACCESS.into() });
    }
    verify_directory()?;
    set_capabilities(sets, warnings)?;
    rustix::process::umask(Mode::from_raw_mode(plan.user.umask.unwrap_or(0o022)));
    Ok(with_home(&plan.environment, &identity.home))
}

/// How the user was named.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chosen {
    ByName,
    ByNumber,
}

fn resolve(plan: &ProcessPlan) -> Result<(Identity, Chosen)> {
    let databases = Databases::read()?;
    let (mut identity, chosen) = match &plan.user.text {
        Some(text) => (databases.look_up(text)?, Chosen::ByName),
        None => {
            let home = databases.home(plan.user.uid);
            let (uid, gid) = (plan.user.uid, plan.user.gid);
            (Identity { uid, gid, groups: Vec::new(), home }, Chosen::ByNumber)
        }
    };
    if chosen == Chosen::ByName && !identity.groups.contains(&identity.gid) {
        // A process that leaves its primary group by a setgid program must not escape what is denied to that group
        // (CVE-2022-36109).
        identity.groups.insert(0, identity.gid);
    }
    let named: Vec<u32> =
        plan.user.more_groups.iter().map(|group| databases.group(group)).collect::<Result<_>>()?;
    // Those of the specification are taken as they are, each as often as it is named.
    identity.groups.extend(&plan.user.groups);
    for group in named {
        if !identity.groups.contains(&group) {
            identity.groups.push(group);
        }
    }
    Ok((identity, chosen))
}

fn set_ids(identity: &Identity, wanted: bool) -> Result<()> {
    let groups: Vec<Gid> = identity.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    match rustix::thread::set_thread_groups(&groups) {
        // A user namespace that somebody without privileges has made takes no groups (and lets none go): those that
        // belong to a user by name are not missed, those that were asked for are.
        Err(Errno::PERM) if !wanted => {}
        result => result.map_err(attribute("supplementary groups"))?,
    }
    let gid = Gid::from_raw(identity.gid);
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(attribute("group id"))?;
    let uid = Uid::from_raw(identity.uid);
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(attribute("user id"))?;
    // A change of ids resets this to what fs.suid_dumpable says, and processes of the same user may look in by now.
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(attribute("not dumpable"))
}

/// False when the present user may not enter.
fn enter(directory: &Path) -> Result<bool> {
    match rustix::process::chdir(directory) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::PERM) => Ok(false),
        Err(errno) => Err(Error::WorkingDirectory { path: directory.into(), source: errno.into() }),
    }
}

/// A directory behind a leaked descriptor of the host (`/proc/self/fd/7`) is not below the root: the kernel then
/// reports it as unreachable (CVE-2024-21626).
fn verify_directory() -> Result<()> {
    match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.to_bytes().starts_with(b"/") => Ok(()),
        Ok(_) | Err(Errno::NOENT) => Err(Error::WorkingDirectoryOutside),
        Err(errno) => Err(attribute("working directory")(errno)),
    }
}

fn set_limit(limit: LimitPlan, warnings: &mut Vec<String>) -> Result<()> {
    let wanted = Rlimit { current: limit.soft, maximum: limit.hard };
    match rustix::process::setrlimit(limit.resource, wanted) {
        Ok(()) => Ok(()),
        // Without CAP_SYS_RESOURCE hard limits can only be lowered.
        Err(Errno::PERM) => {
            let present = rustix::process::getrlimit(limit.resource);
            let maximum = lower(limit.hard, present.maximum);
            let clamped = Rlimit { current: lower(limit.soft, maximum), maximum };
            warnings.push(format!(
                "{} can't be raised without CAP_SYS_RESOURCE: the hard limit stays {}",
                limit.name,
                maximum.map_or_else(|| "unlimited".to_owned(), |n| n.to_string())
            ));
            rustix::process::setrlimit(limit.resource, clamped)
                .map_err(|errno| Error::Rlimit { name: limit.name.into(), source: errno.into() })
        }
        Err(errno) => Err(Error::Rlimit { name: limit.name.into(), source: errno.into() }),
    }
}

/// The lower of two limits; none is the highest.
fn lower(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

/// Takes every capability that is not in `keep` out of the bound. `EINVAL` is the end of those the kernel knows.
fn drop_bounding(keep: u64) -> Result<()> {
    for number in 0..=LAST_CAPABILITY {
        let bit = 1u64 << number;
        if keep & bit != 0 {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(bit)) {
            Ok(()) => {}
            Err(Errno::INVAL) => break,
            Err(errno) => return Err(attribute("capability bounding set")(errno)),
        }
    }
    Ok(())
}

/// Sets the four remaining sets, as far as this process has what it is to pass on.
fn set_capabilities(plan: CapabilityPlan, warnings: &mut Vec<String>) -> Result<()> {
    let failed = attribute("capabilities");
    let held = rustix::thread::capabilities(None).map_err(&failed)?.permitted.bits();
    let permitted = plan.permitted & held;
    let inheritable = plan.inheritable & held;
    warnings.extend(not_granted(plan, held));
    let sets = CapabilitySets {
        effective: CapabilitySet::from_bits_retain(plan.effective & permitted),
        permitted: CapabilitySet::from_bits_retain(permitted),
        inheritable: CapabilitySet::from_bits_retain(inheritable),
    };
    rustix::thread::set_capabilities(None, sets).map_err(&failed)?;
    let ambient = plan.ambient & permitted & inheritable;
    rustix::thread::clear_ambient_capability_set().map_err(&failed)?;
    for bit in (0..=LAST_CAPABILITY).map(|number| 1u64 << number).filter(|bit| ambient & bit != 0) {
        rustix::thread::configure_capability_in_ambient_set(CapabilitySet::from_bits_retain(bit), true)
            .map_err(&failed)?;
    }
    Ok(())
}

/// What of the sets a process that holds `held` can't grant, in words: the specification wants them said.
fn not_granted(plan: CapabilityPlan, held: u64) -> Option<String> {
    let wanted = plan.permitted | plan.effective | plan.inheritable | plan.ambient;
    let baseless = (plan.effective & !plan.permitted) | (plan.ambient & !(plan.permitted & plan.inheritable));
    let missing = (wanted & !held) | baseless;
    let mut names: Vec<String> = caps::all()
        .into_iter()
        .filter(|capability| missing & capability.bitmask() != 0)
        .map(|capability| capability.to_string())
        .collect();
    if names.is_empty() {
        return None;
    }
    names.sort();
    Some(format!("capabilities that can't be granted in all of their sets: [{}]", names.join(" ")))
}

/// The environment with a `HOME`: the user's own where none is set.
fn with_home(environment: &[CString], home: &str) -> Vec<CString> {
    let is_home = |variable: &CString| variable.to_bytes().starts_with(b"HOME=");
    let mut out: Vec<CString> =
        environment.iter().filter(|v| !is_home(v) || v.to_bytes().len() > 5).cloned().collect();
    if !out.iter().any(is_home) {
        out.extend(CString::new(format!("HOME={home}")).ok());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_or_empty_home_is_the_users() {
        let home = |environment: &[&str]| -> Vec<String> {
            let environment: Vec<CString> = environment.iter().map(|v| CString::new(*v).unwrap()).collect();
            let with = with_home(&environment, "/home/app");
            with.into_iter().map(|v| v.into_string().unwrap()).collect()
        };
        assert_eq!(home(&["A=1"]), ["A=1", "HOME=/home/app"]);
        assert_eq!(home(&["HOME=", "A=1"]), ["A=1", "HOME=/home/app"]);
        assert_eq!(home(&["HOME=/x", "A=1"]), ["HOME=/x", "A=1"]);
    }

    #[test]
    fn what_can_not_be_granted_is_said() {
        let all = CapabilityPlan { bounding: 7, effective: 7, permitted: 7, inheritable: 7, ambient: 7 };
        assert_eq!(not_granted(all, u64::MAX), None);
        let chown = |plan: CapabilityPlan, held: u64| {
            not_granted(plan, held).is_some_and(|text| text.ends_with(": [CAP_CHOWN]"))
        };
        assert!(chown(all, !1));
        assert!(chown(CapabilityPlan { permitted: 6, ..all }, u64::MAX));
        assert!(chown(CapabilityPlan { inheritable: 6, ..all }, u64::MAX));
        // The bound is a bound, not a grant.
        assert_eq!(not_granted(CapabilityPlan { bounding: 7, ..Default::default() }, 0), None);
    }

    #[test]
    fn the_lower_limit_wins_and_none_is_highest() {
        for (one, other, expected) in [
            (Some(1), Some(2), Some(1)),
            (None, Some(2), Some(2)),
            (Some(1), None, Some(1)),
            (None, None, None),
        ] {
            assert_eq!(lower(one, other), expected);
        }
    }
}
