//! Seccomp profiles in Docker's format, resolved for one container.
//!
//! A profile's rules may hold only for some architectures, kernels or capabilities. OCI knows no such conditions:
//! `resolve` evaluates them and leaves plain rules. `seccomp/default.json` is the profile of containers that say
//! nothing; `--security-opt seccomp=` brings another text in the same format, or `unconfined`.

use std::sync::OnceLock;

use barge_oci::runtime_spec::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSyscall,
};
use serde::Deserialize;

use crate::error::{Error, Result};

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: LinuxSeccompAction,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<Arch>>,
    arch_map: Option<Vec<ArchMapping>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    syscalls: Option<Vec<Rule>>,
}

/// An architecture and those whose system calls its kernel also takes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMapping {
    architecture: Arch,
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    /// The form of old profiles.
    name: Option<String>,
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<LinuxSeccompArg>>,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    caps: Option<Vec<String>>,
    /// Go's names: `amd64`, `arm64`, …
    arches: Option<Vec<String>>,
    /// `MAJOR.MINOR`.
    min_kernel: Option<String>,
}

/// What conditions are evaluated against.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    /// The container's capabilities, as `CAP_NAME`.
    pub(crate) capabilities: &'a [String],
    /// The kernel's major and minor version.
    pub(crate) kernel: (u32, u32),
    /// The host's architecture in Go's words.
    pub(crate) arch: &'a str,
}

/// The built-in profile for one container.
///
/// # Errors
/// System, if the built-in profile cannot be read; a test reads it.
pub(crate) fn builtin(target: Target<'_>) -> Result<LinuxSeccomp> {
    static PROFILE: OnceLock<Result<Profile>> = OnceLock::new();
    let profile = PROFILE.get_or_init(|| parse(include_str!("seccomp/default.json"))).as_ref();
    Ok(profile.map_err(Clone::clone)?.resolve(target))
}

/// A profile that came with the request, for one container.
///
/// # Errors
/// Invalid, with Docker's text, if it is no profile.
pub(crate) fn custom(text: &str, target: Target<'_>) -> Result<LinuxSeccomp> {
    Ok(parse(text)?.resolve(target))
}

fn parse(text: &str) -> Result<Profile> {
    let profile: Profile = serde_json::from_str(text)
        .map_err(|error| Error::invalid(format!("Decoding seccomp profile failed: {error}")))?;
    if profile.architectures.is_some() && profile.arch_map.is_some() {
        return Err(Error::invalid(
            "use either 'architectures' or 'archMap', but not both in a seccomp profile",
        ));
    }
    let rules = profile.syscalls.iter().flatten();
    if let Some(rule) = rules.into_iter().find(|rule| rule.name.is_some() == rule.names.is_some()) {
        return Err(Error::invalid(format!(
            "use either 'name' or 'names' in a rule of a seccomp profile: {:?}",
            rule.name
        )));
    }
    Ok(profile)
}

impl Profile {
    fn resolve(&self, target: Target<'_>) -> LinuxSeccomp {
        let holds = |rule: &&Rule| {
            rule.includes.as_ref().is_none_or(|condition| condition.all_hold(target))
                && !rule.excludes.as_ref().is_some_and(|condition| condition.any_holds(target))
        };
        let syscalls = self.syscalls.iter().flatten().filter(holds).map(Rule::plain).collect();
        let mut seccomp = LinuxSeccomp::default();
        seccomp
            .set_default_action(self.default_action)
            .set_default_errno_ret(self.default_errno_ret)
            .set_architectures(self.architectures_for(target.arch))
            .set_flags(self.flags.clone())
            .set_syscalls(Some(syscalls));
        seccomp
    }

    fn architectures_for(&self, arch: &str) -> Option<Vec<Arch>> {
        if self.architectures.is_some() {
            return self.architectures.clone();
        }
        let native = native(arch)?;
        let mapping = self.arch_map.iter().flatten().find(|mapping| mapping.architecture == native)?;
        Some([native].into_iter().chain(mapping.sub_architectures.iter().flatten().copied()).collect())
    }
}

/// The kernel's name for an architecture in Go's words.
fn native(arch: &str) -> Option<Arch> {
    match arch {
        "amd64" => Some(Arch::ScmpArchX86_64),
        "arm64" => Some(Arch::ScmpArchAarch64),
        "arm" => Some(Arch::ScmpArchArm),
        "386" => Some(Arch::ScmpArchX86),
        "ppc64le" => Some(Arch::ScmpArchPpc64le),
        "s390x" => Some(Arch::ScmpArchS390x),
        "riscv64" => Some(Arch::ScmpArchRiscv64),
        _ => None,
    }
}

impl Rule {
    fn plain(&self) -> LinuxSyscall {
        let names = self.names.clone().unwrap_or_else(|| self.name.iter().cloned().collect());
        let args = self.args.clone().filter(|args| !args.is_empty());
        let mut syscall = LinuxSyscall::default();
        syscall.set_names(names).set_action(self.action).set_errno_ret(self.errno_ret).set_args(args);
        syscall
    }
}

impl Condition {
    /// Every part that is given holds; of the capabilities all are needed.
    fn all_hold(&self, target: Target<'_>) -> bool {
        let arch = listed(&self.arches).is_none_or(|arches| arches.iter().any(|arch| arch == target.arch));
        let caps = self.caps.iter().flatten().all(|cap| target.capabilities.contains(cap));
        arch && caps && self.kernel_holds(target.kernel).unwrap_or(true)
    }

    /// Any part that is given holds; of the capabilities one is enough.
    fn any_holds(&self, target: Target<'_>) -> bool {
        let arch = self.arches.iter().flatten().any(|arch| arch == target.arch);
        let caps = self.caps.iter().flatten().any(|cap| target.capabilities.contains(cap));
        arch || caps || self.kernel_holds(target.kernel).unwrap_or(false)
    }

    fn kernel_holds(&self, kernel: (u32, u32)) -> Option<bool> {
        let (major, minor) = self.min_kernel.as_ref()?.split_once('.')?;
        Some(kernel >= (major.parse().ok()?, minor.parse().ok()?))
    }
}

fn listed(list: &Option<Vec<String>>) -> Option<&Vec<String>> {
    list.as_ref().filter(|list| !list.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(seccomp: &LinuxSeccomp, action: LinuxSeccompAction) -> Vec<String> {
        let rules = seccomp.syscalls().as_ref().unwrap().iter();
        let rules = rules.filter(|rule| rule.action() == action && rule.args().is_none());
        rules.flat_map(|rule| rule.names().clone()).collect()
    }

    fn builtin_with(capabilities: &[&str]) -> LinuxSeccomp {
        let capabilities: Vec<_> = capabilities.iter().map(|name| (*name).to_owned()).collect();
        builtin(Target { capabilities: &capabilities, kernel: (6, 1), arch: "amd64" }).unwrap()
    }

    #[test]
    fn capabilities_open_system_calls() {
        let allowed = |seccomp| names(&seccomp, LinuxSeccompAction::ScmpActAllow);
        let has = |set: &[String], name: &str| set.iter().any(|known| known == name);
        let plain = allowed(builtin_with(&[]));
        assert!(has(&plain, "openat") && has(&plain, "ptrace") && has(&plain, "arch_prctl"));
        assert!(!has(&plain, "mount") && !has(&plain, "bpf") && !has(&plain, "sync_file_range2"));
        let admin = allowed(builtin_with(&["CAP_SYS_ADMIN"]));
        assert!(has(&admin, "mount") && has(&admin, "clone3"));
        let refused = names(&builtin_with(&[]), LinuxSeccompAction::ScmpActErrno);
        assert_eq!(refused, ["clone3"], "an old libc must see ENOSYS and fall back to clone");
    }

    #[test]
    fn architectures_of_the_host() {
        let arches = builtin_with(&[]).architectures().clone().unwrap();
        assert_eq!(arches, [Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32]);
    }

    #[test]
    fn an_old_kernel_keeps_ptrace_shut() {
        let old = builtin(Target { capabilities: &[], kernel: (4, 7), arch: "amd64" }).unwrap();
        assert!(!names(&old, LinuxSeccompAction::ScmpActAllow).contains(&"ptrace".to_owned()));
    }

    #[test]
    fn other_texts_are_refused() {
        let target = Target { capabilities: &[], kernel: (6, 1), arch: "amd64" };
        for text in [
            "",
            "{}",
            r#"{"defaultAction":"FLY"}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}"#,
        ] {
            assert!(custom(text, target).is_err(), "{text}");
        }
        let old = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"name":"read","action":"SCMP_ACT_ALLOW","args":null}]}"#;
        let seccomp = custom(old, target).unwrap();
        assert_eq!(names(&seccomp, LinuxSeccompAction::ScmpActAllow), ["read"]);
    }
}
