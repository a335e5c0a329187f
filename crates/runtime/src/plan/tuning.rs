//! How a process is scheduled, where it runs and where its memory comes from. Pure.
//!
//! The checks of the scheduler are runc's, so that a specification refused there is refused here.

use barge_oci::runtime_spec::{
    ExecCPUAffinity, LinuxMemoryPolicy, LinuxPersonality, LinuxPersonalityDomain, LinuxSchedulerFlag,
    LinuxSchedulerPolicy, MemoryPolicyFlagType, MemoryPolicyModeType, Scheduler as Wanted,
};
use barge_sys::scheduling::Scheduler;

use super::invalid;
use crate::error::Result;

/// A memory policy: mode with flags, and a bit for each node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemoryPolicy {
    pub(crate) mode: u32,
    pub(crate) nodes: Vec<u64>,
}

/// The processors of an added process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Affinity {
    /// Before it is in the container's cgroup.
    pub(crate) initial: Option<Vec<usize>>,
    /// From then on.
    pub(crate) last: Option<Vec<usize>>,
}

const FIFO: u32 = 1;
const ROUND_ROBIN: u32 = 2;
const DEADLINE: u32 = 6;

pub(super) fn scheduler(wanted: &Wanted) -> Result<Scheduler> {
    use LinuxSchedulerPolicy as P;
    let field = "process.scheduler";
    let policy = match wanted.policy() {
        P::SchedOther => 0,
        P::SchedFifo => FIFO,
        P::SchedRr => ROUND_ROBIN,
        P::SchedBatch => 3,
        P::SchedIso => 4,
        P::SchedIdle => 5,
        P::SchedDeadline => DEADLINE,
    };
    let nice = wanted.nice().unwrap_or(0);
    if !(-20..=19).contains(&nice) {
        return Err(invalid(field, format!("invalid scheduler.nice: {nice}")));
    }
    let priority = wanted.priority().unwrap_or(0);
    if priority != 0 && !matches!(policy, FIFO | ROUND_ROBIN) {
        let reason = "scheduler.priority can only be specified for SchedFIFO or SchedRR policy";
        return Err(invalid(field, reason));
    }
    let times = [*wanted.runtime(), *wanted.deadline(), *wanted.period()].map(Option::unwrap_or_default);
    if times != [0; 3] && policy != DEADLINE {
        let reason = "scheduler runtime/deadline/period can only be specified for SchedDeadline policy";
        return Err(invalid(field, reason));
    }
    let flags = wanted.flags().iter().flatten().fold(0, |all, flag| all | flag_bit(*flag));
    let priority = u32::try_from(priority)
        .map_err(|_| invalid(field, format!("invalid scheduler.priority: {priority}")))?;
    let [runtime, deadline, period] = times;
    Ok(Scheduler { policy, flags, nice, priority, runtime, deadline, period })
}

fn flag_bit(flag: LinuxSchedulerFlag) -> u64 {
    use LinuxSchedulerFlag as F;
    match flag {
        F::SchedResetOnFork => 0x01,
        F::SchedFlagReclaim => 0x02,
        F::SchedFlagDLOverrun => 0x04,
        F::SchedFlagKeepPolicy => 0x08,
        F::SchedFlagKeepParams => 0x10,
        F::SchedFlagUtilClampMin => 0x20,
        F::SchedFlagUtilClampMax => 0x40,
    }
}

pub(super) fn affinity(wanted: &ExecCPUAffinity) -> Result<Affinity> {
    let list = |text: Option<&String>| {
        let text = text.filter(|text| !text.is_empty());
        text.map(|text| numbers("process.execCPUAffinity", text, MOST_PROCESSORS)).transpose()
    };
    Ok(Affinity {
        initial: list(wanted.initial().as_ref())?,
        last: list(wanted.cpu_affinity_final().as_ref())?,
    })
}

/// As many as `CPU_SETSIZE` has room for.
const MOST_PROCESSORS: usize = 1024;
/// More than any kernel is built for (`MAX_NUMNODES`).
const MOST_NODES: usize = 1024;

/// The numbers of a list like `0-3,7`.
fn numbers(field: &str, text: &str, below: usize) -> Result<Vec<usize>> {
    let bad = || invalid(field, format!("{text:?} is not a list of numbers below {below}"));
    let number = |text: &str| text.trim().parse::<usize>().ok().filter(|n| *n < below).ok_or_else(bad);
    let mut out = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (number(first)?, number(last)?);
        if last < first {
            return Err(bad());
        }
        out.extend(first..=last);
    }
    out.sort_unstable();
    out.dedup();
    Ok(out)
}

pub(super) fn memory_policy(wanted: &LinuxMemoryPolicy) -> Result<MemoryPolicy> {
    use MemoryPolicyFlagType as F;
    use MemoryPolicyModeType as M;
    let field = "linux.memoryPolicy";
    let mode = match wanted.mode() {
        M::MpolDefault => 0,
        M::MpolPreferred => 1,
        M::MpolBind => 2,
        M::MpolInterleave => 3,
        M::MpolLocal => 4,
        M::MpolPreferredMany => 5,
        M::MpolWeightedInterleave => 6,
    };
    let flags = wanted.flags().iter().flatten().fold(0, |all, flag| {
        all | match flag {
            F::MpolFNumaBalancing => 1 << 13,
            F::MpolFRelativeNodes => 1 << 14,
            F::MpolFStaticNodes => 1 << 15,
        }
    });
    let listed = wanted.nodes().as_deref().filter(|nodes| !nodes.is_empty());
    if listed.is_some() && matches!(wanted.mode(), M::MpolDefault | M::MpolLocal) {
        return Err(invalid(field, format!("{} takes no nodes", wanted.mode())));
    }
    if listed.is_none() && !matches!(wanted.mode(), M::MpolDefault | M::MpolLocal | M::MpolPreferred) {
        return Err(invalid(field, format!("{} needs nodes", wanted.mode())));
    }
    let mut nodes = Vec::new();
    for node in listed.map(|text| numbers(field, text, MOST_NODES)).transpose()?.unwrap_or_default() {
        let word = node / 64;
        nodes.resize(nodes.len().max(word + 1), 0);
        nodes[word] |= 1 << (node % 64);
    }
    Ok(MemoryPolicy { mode: mode | flags, nodes })
}

/// The domain with the flags of personality(2) by their kernel names. The specification defines no flag yet.
pub(super) fn personality(wanted: &LinuxPersonality) -> Result<u64> {
    let domain = match wanted.domain() {
        LinuxPersonalityDomain::PerLinux => 0,
        LinuxPersonalityDomain::PerLinux32 => 8,
    };
    wanted.flags().iter().flatten().try_fold(domain, |all, flag| {
        let bit = match flag.as_str() {
            "UNAME26" => 0x002_0000,
            "ADDR_NO_RANDOMIZE" => 0x004_0000,
            "FDPIC_FUNCPTRS" => 0x008_0000,
            "MMAP_PAGE_ZERO" => 0x010_0000,
            "ADDR_COMPAT_LAYOUT" => 0x020_0000,
            "READ_IMPLIES_EXEC" => 0x040_0000,
            "ADDR_LIMIT_32BIT" => 0x080_0000,
            "SHORT_INODE" => 0x100_0000,
            "WHOLE_SECONDS" => 0x200_0000,
            "STICKY_TIMEOUTS" => 0x400_0000,
            "ADDR_LIMIT_3GB" => 0x800_0000,
            other => return Err(invalid("linux.personality", format!("flag {other:?} is unknown"))),
        };
        Ok(all | bit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<T: serde::de::DeserializeOwned>(json: &str) -> T {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn schedulers_are_checked_as_runc_checks_them() {
        let fifo = scheduler(&of(r#"{"policy":"SCHED_FIFO","priority":7,"flags":["SCHED_RESET_ON_FORK"]}"#));
        assert_eq!(fifo.unwrap(), Scheduler { policy: 1, flags: 1, priority: 7, ..Default::default() });
        let deadline = scheduler(&of(
            r#"{"policy":"SCHED_DEADLINE","runtime":1,"deadline":2,"period":3,"flags":["SCHED_FLAG_RECLAIM"]}"#,
        ));
        let expected =
            Scheduler { policy: 6, flags: 2, runtime: 1, deadline: 2, period: 3, ..Default::default() };
        assert_eq!(deadline.unwrap(), expected);
        for json in [
            r#"{"policy":"SCHED_OTHER","nice":20}"#,
            r#"{"policy":"SCHED_BATCH","priority":1}"#,
            r#"{"policy":"SCHED_FIFO","priority":-1}"#,
            r#"{"policy":"SCHED_FIFO","runtime":1}"#,
        ] {
            assert!(scheduler(&of(json)).is_err(), "{json}");
        }
    }

    #[test]
    fn lists_of_processors_are_numbers() {
        let cases = [
            ("0", Some(vec![0])),
            ("7,0-2,1", Some(vec![0, 1, 2, 7])),
            ("2-1", None),
            ("1024", None),
            ("x", None),
        ];
        for (text, expected) in cases {
            assert_eq!(numbers("field", text, 1024).ok(), expected, "{text}");
        }
    }

    #[test]
    fn memory_policies_are_a_mode_and_a_mask() {
        let policy =
            memory_policy(&of(r#"{"mode":"MPOL_BIND","nodes":"0,2-3,64","flags":["MPOL_F_STATIC_NODES"]}"#));
        assert_eq!(policy.unwrap(), MemoryPolicy { mode: 2 | 1 << 15, nodes: vec![0b1101, 1] });
        let empty = memory_policy(&of(r#"{"mode":"MPOL_DEFAULT","nodes":""}"#)).unwrap();
        assert_eq!(empty, MemoryPolicy { mode: 0, nodes: Vec::new() });
        for json in [
            r#"{"mode":"MPOL_LOCAL","nodes":"0"}"#,
            r#"{"mode":"MPOL_BIND"}"#,
            r#"{"mode":"MPOL_BIND","nodes":""}"#,
        ] {
            assert!(memory_policy(&of(json)).is_err(), "{json}");
        }
        assert!(memory_policy(&of(r#"{"mode":"MPOL_PREFERRED"}"#)).is_ok());
    }

    #[test]
    fn personalities_have_known_flags_only() {
        assert_eq!(personality(&of(r#"{"domain":"LINUX32"}"#)).unwrap(), 8);
        let flags = personality(&of(r#"{"domain":"LINUX","flags":["ADDR_NO_RANDOMIZE"]}"#));
        assert_eq!(flags.unwrap(), 0x4_0000);
        assert!(personality(&of(r#"{"domain":"LINUX","flags":["NO_SUCH"]}"#)).is_err());
    }
}
