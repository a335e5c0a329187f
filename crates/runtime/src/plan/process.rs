//! What the process of a container is: program, user, rights and limits. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::CString;
use std::path::PathBuf;

use barge_oci::runtime_spec::{
    Capabilities, IOPriorityClass, Linux, LinuxCapabilities, LinuxIOPriority, PosixRlimit, PosixRlimitType,
    Process, User,
};
use barge_sys::scheduling::Scheduler;
use rustix::process::Resource;

use super::invalid;
use super::tuning::{self, Affinity, MemoryPolicy};
use crate::error::Result;

/// A process to become.
#[derive(Debug, Clone)]
pub(crate) struct ProcessPlan {
    pub(crate) arguments: Vec<CString>,
    /// `NAME=value` each.
    pub(crate) environment: Vec<CString>,
    pub(crate) directory: PathBuf,
    pub(crate) user: UserPlan,
    /// Without them the process keeps what its parent has.
    pub(crate) capabilities: CapabilityPlan,
    pub(crate) limits: Vec<LimitPlan>,
    pub(crate) no_new_privileges: bool,
    pub(crate) oom_score: Option<i32>,
    /// Whether it gets a session keyring of its own, or sees the caller's.
    pub(crate) own_keyring: bool,
    pub(crate) terminal_size: Option<(u16, u16)>,
    pub(crate) apparmor: Option<String>,
    pub(crate) selinux: Option<String>,
    pub(crate) io_priority: Option<(u32, u32)>,
    pub(crate) scheduler: Option<Scheduler>,
    pub(crate) memory_policy: Option<MemoryPolicy>,
    /// `PER_*` with flags, of personality(2).
    pub(crate) personality: Option<u64>,
    /// Only of an added process.
    pub(crate) affinity: Affinity,
}

/// Who the process is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserPlan {
    /// To be looked up in the container's files; the numbers below hold when there is none.
    pub(crate) text: Option<String>,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
    /// By name or number, to be looked up as `text`.
    pub(crate) more_groups: Vec<String>,
    pub(crate) umask: Option<u32>,
}

/// The five sets, one bit for each capability number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CapabilityPlan {
    pub(crate) bounding: u64,
    pub(crate) effective: u64,
    pub(crate) permitted: u64,
    pub(crate) inheritable: u64,
    pub(crate) ambient: u64,
}

/// A resource limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LimitPlan {
    pub(crate) resource: Resource,
    pub(crate) name: &'static str,
    /// `None` is no limit.
    pub(crate) soft: Option<u64>,
    pub(crate) hard: Option<u64>,
}

/// The process of a container that is created without one: it has a place to wait in, and nothing to run
/// (config.md, Process: `process` is only required when `start` is called).
pub(crate) fn absent() -> Process {
    let mut process = Process::default();
    process
        .set_args(None)
        .set_env(None)
        .set_capabilities(None)
        .set_rlimits(None)
        .set_no_new_privileges(None)
        .set_cwd("/".into());
    process
}

impl ProcessPlan {
    pub(crate) fn of(
        process: &Process,
        linux: &Linux,
        user: Option<String>,
        groups: Vec<String>,
    ) -> Result<Self> {
        let arguments = strings("process.args", process.args().as_deref())?;
        if arguments.is_empty() && *process != absent() {
            return Err(invalid("process.args", "is empty"));
        }
        if !process.cwd().is_absolute() {
            return Err(invalid("process.cwd", format!("{:?} is not absolute", process.cwd())));
        }
        check_user(process.user())?;
        Ok(Self {
            arguments,
            environment: environment(process.env().as_deref())?,
            directory: process.cwd().clone(),
            user: UserPlan {
                text: user,
                uid: process.user().uid(),
                gid: process.user().gid(),
                more_groups: groups,
                groups: process.user().additional_gids().clone().unwrap_or_default(),
                umask: process.user().umask(),
            },
            capabilities: process.capabilities().as_ref().map(CapabilityPlan::of).unwrap_or_default(),
            limits: limits(process.rlimits().as_deref())?,
            no_new_privileges: process.no_new_privileges() == Some(true),
            own_keyring: true,
            oom_score: process.oom_score_adj(),
            terminal_size: process
                .console_size()
                .map(|size| (clamp_u16(size.width()), clamp_u16(size.height())))
                .filter(|size| *size != (0, 0)),
            apparmor: process.apparmor_profile().clone().filter(|name| !name.is_empty()),
            selinux: process.selinux_label().clone().filter(|label| !label.is_empty()),
            io_priority: process.io_priority().as_ref().map(io_priority).transpose()?,
            scheduler: process.scheduler().as_ref().map(tuning::scheduler).transpose()?,
            memory_policy: linux.memory_policy().as_ref().map(tuning::memory_policy).transpose()?,
            personality: linux.personality().as_ref().map(tuning::personality).transpose()?,
            affinity: process
                .exec_cpu_affinity()
                .as_ref()
                .map(tuning::affinity)
                .transpose()?
                .unwrap_or_default(),
        })
    }
}

/// The kernel takes the largest number for "no change": a process that asks for it would stay root.
fn check_user(user: &User) -> Result<()> {
    let more = user.additional_gids().iter().flatten();
    let ids = [("process.user.uid", user.uid()), ("process.user.gid", user.gid())];
    let all = ids.into_iter().chain(more.map(|gid| ("process.user.additionalGids", *gid)));
    match all.into_iter().find(|(_, id)| *id == u32::MAX) {
        Some((field, id)) => Err(invalid(field, format!("{id} is no id"))),
        None => Ok(()),
    }
}

fn io_priority(wanted: &LinuxIOPriority) -> Result<(u32, u32)> {
    let class = match wanted.class() {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    let priority = wanted.priority();
    let level = u32::try_from(priority).ok().filter(|level| *level < 8);
    level
        .map(|level| (class, level))
        .ok_or_else(|| invalid("process.ioPriority", format!("priority {priority} is not between 0 and 7")))
}

fn clamp_u16(value: u64) -> u16 {
    value.min(u64::from(u16::MAX)) as u16
}

fn strings(field: &str, texts: Option<&[String]>) -> Result<Vec<CString>> {
    texts.unwrap_or_default().iter().map(|text| string(field, text)).collect()
}

fn string(field: &str, text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| invalid(field, format!("{text:?} contains a zero byte")))
}

/// The environment with the last value for each name, in the place of the first: what a shell would see of it.
fn environment(texts: Option<&[String]>) -> Result<Vec<CString>> {
    let mut out: Vec<CString> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for text in texts.unwrap_or_default() {
        let Some((name, _)) = text.split_once('=') else {
            return Err(invalid("process.env", format!("{text:?} has no =")));
        };
        if name.is_empty() {
            return Err(invalid("process.env", format!("{text:?} has no name")));
        }
        let variable = string("process.env", text)?;
        match places.entry(name) {
            Entry::Occupied(known) => out[*known.get()] = variable,
            Entry::Vacant(new) => {
                new.insert(out.len());
                out.push(variable);
            }
        }
    }
    Ok(out)
}

impl CapabilityPlan {
    pub(crate) fn of(sets: &LinuxCapabilities) -> Self {
        Self {
            bounding: bits(sets.bounding().as_ref()),
            effective: bits(sets.effective().as_ref()),
            permitted: bits(sets.permitted().as_ref()),
            inheritable: bits(sets.inheritable().as_ref()),
            ambient: bits(sets.ambient().as_ref()),
        }
    }

    /// What a user other than root is left with when nobody chose sets for it: the bound of what a setuid program
    /// may give back.
    pub(crate) fn bounding_only(self) -> Self {
        Self { bounding: self.bounding, ..Self::default() }
    }
}

fn bits(set: Option<&Capabilities>) -> u64 {
    let number = |name: String| name.parse::<caps::Capability>().ok().map(|c| c.bitmask());
    set.into_iter().flatten().filter_map(|c| number(format!("CAP_{c}"))).fold(0, |all, bit| all | bit)
}

fn limits(rlimits: Option<&[PosixRlimit]>) -> Result<Vec<LimitPlan>> {
    let mut out: Vec<LimitPlan> = Vec::new();
    for rlimit in rlimits.unwrap_or_default() {
        let (resource, name) = resource(rlimit.typ());
        if out.iter().any(|known| known.resource == resource) {
            return Err(invalid("process.rlimits", format!("{name} appears twice")));
        }
        if rlimit.soft() > rlimit.hard() {
            return Err(invalid("process.rlimits", format!("{name}: the soft limit is above the hard one")));
        }
        let value = |v: u64| (v != u64::MAX).then_some(v);
        out.push(LimitPlan { resource, name, soft: value(rlimit.soft()), hard: value(rlimit.hard()) });
    }
    Ok(out)
}

fn resource(kind: PosixRlimitType) -> (Resource, &'static str) {
    match kind {
        PosixRlimitType::RlimitCpu => (Resource::Cpu, "RLIMIT_CPU"),
        PosixRlimitType::RlimitFsize => (Resource::Fsize, "RLIMIT_FSIZE"),
        PosixRlimitType::RlimitData => (Resource::Data, "RLIMIT_DATA"),
        PosixRlimitType::RlimitStack => (Resource::Stack, "RLIMIT_STACK"),
        PosixRlimitType::RlimitCore => (Resource::Core, "RLIMIT_CORE"),
        PosixRlimitType::RlimitRss => (Resource::Rss, "RLIMIT_RSS"),
        PosixRlimitType::RlimitNproc => (Resource::Nproc, "RLIMIT_NPROC"),
        PosixRlimitType::RlimitNofile => (Resource::Nofile, "RLIMIT_NOFILE"),
        PosixRlimitType::RlimitMemlock => (Resource::Memlock, "RLIMIT_MEMLOCK"),
        PosixRlimitType::RlimitAs => (Resource::As, "RLIMIT_AS"),
        PosixRlimitType::RlimitLocks => (Resource::Locks, "RLIMIT_LOCKS"),
        PosixRlimitType::RlimitSigpending => (Resource::Sigpending, "RLIMIT_SIGPENDING"),
        PosixRlimitType::RlimitMsgqueue => (Resource::Msgqueue, "RLIMIT_MSGQUEUE"),
        PosixRlimitType::RlimitNice => (Resource::Nice, "RLIMIT_NICE"),
        PosixRlimitType::RlimitRtprio => (Resource::Rtprio, "RLIMIT_RTPRIO"),
        PosixRlimitType::RlimitRttime => (Resource::Rttime, "RLIMIT_RTTIME"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<ProcessPlan> {
        ProcessPlan::of(&serde_json::from_str(json).unwrap(), &Linux::default(), None, Vec::new())
    }

    #[test]
    fn the_last_value_of_a_variable_wins() {
        let plan =
            plan(r#"{"user":{"uid":0,"gid":0},"args":["a"],"cwd":"/","env":["A=1","B=2","A=3"]}"#).unwrap();
        assert_eq!(plan.environment, [c"A=3".to_owned(), c"B=2".to_owned()]);
    }

    #[test]
    fn capabilities_are_bits_by_number() {
        let plan = plan(
            r#"{"user":{"uid":0,"gid":0},"args":["a"],"cwd":"/",
                "capabilities":{"bounding":["CAP_CHOWN","CAP_NET_RAW"],"effective":["CAP_CHECKPOINT_RESTORE"]}}"#,
        )
        .unwrap();
        let sets = plan.capabilities;
        assert_eq!((sets.bounding, sets.effective, sets.permitted), (1 | 1 << 13, 1 << 40, 0));
        assert_eq!(sets.bounding_only(), CapabilityPlan { bounding: 1 | 1 << 13, ..Default::default() });
    }

    #[test]
    fn nonsense_is_refused() {
        for json in [
            r#"{"user":{"uid":0,"gid":0},"args":[],"cwd":"/"}"#,
            r#"{"user":{"uid":0,"gid":0},"args":["a"],"cwd":"relative"}"#,
            r#"{"user":{"uid":0,"gid":0},"args":["a\u0000b"],"cwd":"/"}"#,
            r#"{"user":{"uid":0,"gid":0},"args":["a"],"cwd":"/","env":["NOVALUE"]}"#,
            r#"{"user":{"uid":0,"gid":0},"args":["a"],"cwd":"/","env":["=x"]}"#,
            r#"{"user":{"uid":0,"gid":0},"args":["a"],"cwd":"/","rlimits":[{"type":"RLIMIT_CORE","soft":2,"hard":1}]}"#,
            r#"{"user":{"uid":4294967295,"gid":0},"args":["a"],"cwd":"/"}"#,
            r#"{"user":{"uid":0,"gid":4294967295},"args":["a"],"cwd":"/"}"#,
            r#"{"user":{"uid":0,"gid":0,"additionalGids":[4294967295]},"args":["a"],"cwd":"/"}"#,
        ] {
            assert!(plan(json).is_err(), "{json}");
        }
    }
}
