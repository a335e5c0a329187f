//! A profile of the runtime specification as instructions of the kernel.
//!
//! libseccomp does the work. In front of its code stands a test that answers `ENOSYS` to system calls newer than any
//! that the profile names: a C library that probes for one falls back then, which it would not on `EPERM`.

use std::io::{Read, Seek};

use barge_oci::runtime_spec::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator, LinuxSyscall,
};
use barge_sys::seccomp::Instruction;
use libseccomp::{
    ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall, ScmpVersion,
};

use super::cache::decode;
use super::overlap::Seen;
use crate::error::{Error, Result};

/// What besides the profile decides on the instructions; a change makes every cached filter stale.
pub(super) fn identity() -> String {
    let library = ScmpVersion::current().map(|v| format!("{v}")).unwrap_or_default();
    format!("{} libseccomp {library} prologue 1 checks 2", std::env::consts::ARCH)
}

/// Compiles a profile.
pub(super) fn compile(profile: &LinuxSeccomp) -> Result<Vec<Instruction>> {
    check(profile)?;
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let mut filter = ScmpFilterContext::new(default).map_err(failed("create"))?;
    filter.set_ctl_nnp(false).map_err(failed("leave no-new-privileges alone"))?;
    let architectures = architectures(profile)?;
    for (_, architecture) in &architectures {
        filter.add_arch(*architecture).map_err(failed("add architecture"))?;
    }
    let mut seen = Seen::default();
    for rule in profile.syscalls().iter().flatten() {
        add(&mut filter, rule, default, &mut seen)?;
    }
    let mut instructions = Vec::new();
    if refuses(profile.default_action()) {
        prologue(profile, &architectures, &mut instructions);
    }
    instructions.extend(export(&filter)?);
    Ok(instructions)
}

fn failed(what: &'static str) -> impl Fn(libseccomp::error::SeccompError) -> Error {
    move |error| Error::SeccompProfile { reason: format!("{what}: {error}") }
}

fn refused(reason: String) -> Error {
    Error::SeccompProfile { reason }
}

/// What a profile must not say (config-linux.md, Seccomp).
fn check(profile: &LinuxSeccomp) -> Result<()> {
    check_errno("the default action", profile.default_action(), profile.default_errno_ret())?;
    for rule in profile.syscalls().iter().flatten() {
        if rule.names().is_empty() {
            return Err(refused(format!("a rule of {} names no system call", rule.action())));
        }
        check_errno(&format!("rule for {}", rule.names().join(", ")), rule.action(), rule.errno_ret())?;
    }
    Ok(())
}

/// The kernel has 16 bits for what an action returns, and only two that return something.
fn check_errno(whose: &str, action: LinuxSeccompAction, errno: Option<u32>) -> Result<()> {
    use LinuxSeccompAction as A;
    match errno {
        None => Ok(()),
        Some(_) if !matches!(action, A::ScmpActErrno | A::ScmpActTrace) => {
            Err(refused(format!("{whose}: {action} takes no errnoRet")))
        }
        Some(errno) if errno > u32::from(u16::MAX) => Err(refused(format!("{whose}: {errno} is no errno"))),
        Some(_) => Ok(()),
    }
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<ScmpAction> {
    use LinuxSeccompAction as A;
    const EPERM: u32 = 1;
    let errno = errno.unwrap_or(EPERM);
    Ok(match action {
        A::ScmpActKill | A::ScmpActKillThread => ScmpAction::KillThread,
        A::ScmpActKillProcess => ScmpAction::KillProcess,
        A::ScmpActTrap => ScmpAction::Trap,
        A::ScmpActErrno => ScmpAction::Errno(errno as i32),
        A::ScmpActTrace => ScmpAction::Trace(errno as u16),
        A::ScmpActLog => ScmpAction::Log,
        A::ScmpActAllow => ScmpAction::Allow,
        A::ScmpActNotify => ScmpAction::Notify,
    })
}

fn refuses(default: LinuxSeccompAction) -> bool {
    use LinuxSeccompAction as A;
    matches!(default, A::ScmpActKill | A::ScmpActKillThread | A::ScmpActKillProcess | A::ScmpActErrno)
}

/// The profile's architectures besides the host's own, with the numbers that the kernel knows them by.
fn architectures(profile: &LinuxSeccomp) -> Result<Vec<(u32, ScmpArch)>> {
    let mut out = Vec::new();
    for architecture in profile.architectures().iter().flatten().copied().chain([Arch::ScmpArchNative]) {
        let entry = match architecture {
            Arch::ScmpArchNative => native(),
            other => match named(other) {
                Some(name) => Some((other as u32, name)),
                None => return Err(refused(format!("architecture {other} is not supported"))),
            },
        };
        out.extend(entry.filter(|entry| !out.contains(entry)));
    }
    Ok(out)
}

/// Those of the runtime specification that libseccomp compiles for, by their names there.
pub(crate) const ARCHITECTURES: [&str; 19] = [
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
];

fn native() -> Option<(u32, ScmpArch)> {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => Arch::ScmpArchX86_64,
        "aarch64" => Arch::ScmpArchAarch64,
        "arm" => Arch::ScmpArchArm,
        "x86" => Arch::ScmpArchX86,
        "riscv64" => Arch::ScmpArchRiscv64,
        "powerpc64" => Arch::ScmpArchPpc64le,
        "s390x" => Arch::ScmpArchS390x,
        _ => return None,
    };
    named(architecture).map(|name| (architecture as u32, name))
}

fn named(architecture: Arch) -> Option<ScmpArch> {
    Some(match architecture {
        Arch::ScmpArchX86 => ScmpArch::X86,
        Arch::ScmpArchX86_64 => ScmpArch::X8664,
        Arch::ScmpArchX32 => ScmpArch::X32,
        Arch::ScmpArchArm => ScmpArch::Arm,
        Arch::ScmpArchAarch64 => ScmpArch::Aarch64,
        Arch::ScmpArchMips => ScmpArch::Mips,
        Arch::ScmpArchMips64 => ScmpArch::Mips64,
        Arch::ScmpArchMips64n32 => ScmpArch::Mips64N32,
        Arch::ScmpArchMipsel => ScmpArch::Mipsel,
        Arch::ScmpArchMipsel64 => ScmpArch::Mipsel64,
        Arch::ScmpArchMipsel64n32 => ScmpArch::Mipsel64N32,
        Arch::ScmpArchPpc => ScmpArch::Ppc,
        Arch::ScmpArchPpc64 => ScmpArch::Ppc64,
        Arch::ScmpArchPpc64le => ScmpArch::Ppc64Le,
        Arch::ScmpArchS390 => ScmpArch::S390,
        Arch::ScmpArchS390x => ScmpArch::S390X,
        Arch::ScmpArchParisc => ScmpArch::Parisc,
        Arch::ScmpArchParisc64 => ScmpArch::Parisc64,
        Arch::ScmpArchRiscv64 => ScmpArch::Riscv64,
        _ => return None,
    })
}

/// Adds one rule for each name. Names that this libseccomp does not know are left to the default action.
fn add(
    filter: &mut ScmpFilterContext,
    rule: &LinuxSyscall,
    default: ScmpAction,
    seen: &mut Seen,
) -> Result<()> {
    let action = action(rule.action(), rule.errno_ret())?;
    if action == default {
        return Ok(());
    }
    let arguments = rule.args().as_deref().unwrap_or_default();
    let comparisons = arguments.iter().map(comparison).collect::<Result<Vec<_>>>()?;
    for name in rule.names() {
        let Ok(call) = ScmpSyscall::from_name(name) else { continue };
        let because = || format!("rule for {name}");
        let added = if comparisons.is_empty() {
            filter.add_rule(action, call).map(drop)
        } else if repeats(arguments) {
            // Several tests of one argument mean "any of them": each becomes a rule of its own.
            comparisons
                .iter()
                .try_for_each(|one| filter.add_rule_conditional(action, call, &[*one]).map(drop))
        } else {
            seen.add(name, arguments)?;
            filter.add_rule_conditional(action, call, &comparisons).map(drop)
        };
        added.map_err(|error| Error::SeccompProfile { reason: format!("{}: {error}", because()) })?;
    }
    Ok(())
}

fn repeats(arguments: &[LinuxSeccompArg]) -> bool {
    arguments.iter().enumerate().any(|(at, one)| arguments[..at].iter().any(|o| o.index() == one.index()))
}

fn comparison(argument: &LinuxSeccompArg) -> Result<ScmpArgCompare> {
    use LinuxSeccompOperator as O;
    let index = u32::try_from(argument.index()).ok().filter(|index| *index < 6).ok_or_else(|| {
        Error::SeccompProfile { reason: format!("a system call has no argument {}", argument.index()) }
    })?;
    let value = argument.value();
    Ok(match argument.op() {
        O::ScmpCmpNe => ScmpArgCompare::new(index, ScmpCompareOp::NotEqual, value),
        O::ScmpCmpLt => ScmpArgCompare::new(index, ScmpCompareOp::Less, value),
        O::ScmpCmpLe => ScmpArgCompare::new(index, ScmpCompareOp::LessOrEqual, value),
        O::ScmpCmpEq => ScmpArgCompare::new(index, ScmpCompareOp::Equal, value),
        O::ScmpCmpGe => ScmpArgCompare::new(index, ScmpCompareOp::GreaterEqual, value),
        O::ScmpCmpGt => ScmpArgCompare::new(index, ScmpCompareOp::Greater, value),
        O::ScmpCmpMaskedEq => {
            let wanted = argument.value_two().unwrap_or(0);
            ScmpArgCompare::new(index, ScmpCompareOp::MaskedEqual(value), wanted)
        }
    })
}

fn export(filter: &ScmpFilterContext) -> Result<Vec<Instruction>> {
    let io = |error: std::io::Error| Error::SeccompProfile { reason: format!("export: {error}") };
    let memory = rustix::fs::memfd_create("seccomp", rustix::fs::MemfdFlags::CLOEXEC)
        .map_err(|errno| io(errno.into()))?;
    filter.export_bpf(&memory).map_err(failed("export"))?;
    let mut file = std::fs::File::from(memory);
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(io)?;
    decode(&bytes).ok_or_else(|| Error::SeccompProfile { reason: "the filter is too long".into() })
}

/// Numbers of x32 calls have this bit, under the architecture of x86-64.
const X32_BIT: u32 = 0x4000_0000;
const OFFSET_NUMBER: u32 = 0;
const OFFSET_ARCHITECTURE: u32 = 4;
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
const JUMP_EQUAL: u16 = 0x15;
const JUMP_GREATER: u16 = 0x25;
const JUMP_GREATER_OR_EQUAL: u16 = 0x35;
const RETURN: u16 = 0x06;
const RETURN_ENOSYS: u32 = 0x0005_0000 | 38;

/// For each architecture: `ENOSYS` to numbers above the greatest that the profile names.
fn prologue(profile: &LinuxSeccomp, architectures: &[(u32, ScmpArch)], out: &mut Vec<Instruction>) {
    let greatest = |wanted: ScmpArch| {
        let listed = architectures.iter().any(|(_, architecture)| *architecture == wanted);
        let calls = profile.syscalls().iter().flatten().flat_map(|rule| rule.names());
        let numbers = calls.filter_map(|name| ScmpSyscall::from_name_by_arch(name, wanted).ok());
        // Calls that an architecture does not have are negative.
        let numbers = numbers.filter_map(|call| u32::try_from(call.as_raw_syscall()).ok());
        if listed { numbers.max() } else { None }
    };
    for (token, architecture) in architectures.iter().filter(|(_, a)| *a != ScmpArch::X32) {
        let Some(last) = greatest(*architecture) else { continue };
        let x32 = (*architecture == ScmpArch::X8664).then(|| greatest(ScmpArch::X32));
        out.extend(section(*token, last, x32));
    }
}

/// The test for one architecture. `x32` is set for x86-64, with the greatest number of x32 if the profile has it.
fn section(token: u32, last: u32, x32: Option<Option<u32>>) -> Vec<Instruction> {
    let i = |code, jump_true, jump_false, operand| Instruction { code, jump_true, jump_false, operand };
    let mut tests = vec![i(LOAD, 0, 0, OFFSET_NUMBER)];
    match x32 {
        None => {}
        Some(None) => tests.push(i(JUMP_GREATER_OR_EQUAL, 2, 0, X32_BIT)),
        Some(Some(last_x32)) => {
            tests.push(i(JUMP_GREATER_OR_EQUAL, 0, 2, X32_BIT));
            tests.push(i(JUMP_GREATER, 2, 0, last_x32.max(X32_BIT)));
            tests.push(i(JUMP, 0, 0, 2));
        }
    }
    tests.push(i(JUMP_GREATER, 0, 1, last));
    tests.push(i(RETURN, 0, 0, RETURN_ENOSYS));
    let mut out = vec![i(LOAD, 0, 0, OFFSET_ARCHITECTURE), i(JUMP_EQUAL, 0, tests.len() as u8, token)];
    out.extend(tests);
    out
}

#[cfg(test)]
mod tests {
    use super::super::machine;
    use super::*;

    fn run(program: &[Instruction], number: u32, architecture: u32) -> u32 {
        machine::check(program);
        machine::run(program, machine::Call { number, architecture, ..Default::default() })
    }

    const X86_64: u32 = 0xc000_003e;
    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0001;

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn calls_are_allowed_refused_or_unknown() {
        for architectures in
            [r#"["SCMP_ARCH_X86_64"]"#, r#"["SCMP_ARCH_X86_64","SCMP_ARCH_X86","SCMP_ARCH_X32"]"#]
        {
            let json = format!(
                r#"{{"defaultAction":"SCMP_ACT_ERRNO","architectures":{architectures},
                    "syscalls":[{{"names":["read","write","openat2","no_such_call"],"action":"SCMP_ACT_ALLOW"}}]}}"#
            );
            let program = compile(&serde_json::from_str(&json).unwrap()).unwrap();
            // read, write, mount, openat2 (the greatest named), the next after it
            for (number, expected) in
                [(0, ALLOW), (1, ALLOW), (165, EPERM), (437, ALLOW), (438, RETURN_ENOSYS)]
            {
                assert_eq!(run(&program, number, X86_64), expected, "{number} of {architectures}");
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn x32_has_its_own_greatest_number() {
        let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X32"],
                       "syscalls":[{"names":["read","openat2"],"action":"SCMP_ACT_ALLOW"}]}"#;
        let program = compile(&serde_json::from_str(json).unwrap()).unwrap();
        for (number, expected) in [(0, ALLOW), (1, EPERM), (437, ALLOW), (438, RETURN_ENOSYS)] {
            assert_eq!(run(&program, number | X32_BIT, X86_64), expected, "{number}");
        }
    }

    #[test]
    fn the_architectures_are_those_that_are_compiled_for() {
        for name in ARCHITECTURES {
            let architecture = serde_json::from_value(name.into()).unwrap();
            assert!(named(architecture).is_some(), "{name}");
        }
        for name in ["SCMP_ARCH_LOONGARCH64", "SCMP_ARCH_M68K", "SCMP_ARCH_SH", "SCMP_ARCH_SHEB"] {
            assert!(named(serde_json::from_value(name.into()).unwrap()).is_none(), "{name}");
        }
    }

    #[test]
    fn every_action_operator_and_errno_of_the_specification_has_its_answer() {
        for (action, more, expected) in [
            ("SCMP_ACT_KILL", "", 0),
            ("SCMP_ACT_KILL_THREAD", "", 0),
            ("SCMP_ACT_KILL_PROCESS", "", 0x8000_0000),
            ("SCMP_ACT_TRAP", "", 0x0003_0000),
            ("SCMP_ACT_ERRNO", "", EPERM),
            ("SCMP_ACT_ERRNO", r#","errnoRet":0"#, 0x0005_0000),
            ("SCMP_ACT_ERRNO", r#","errnoRet":95"#, 0x0005_005f),
            ("SCMP_ACT_TRACE", r#","errnoRet":7"#, 0x7ff0_0007),
            ("SCMP_ACT_LOG", "", 0x7ffc_0000),
            ("SCMP_ACT_NOTIFY", "", 0x7fc0_0000),
        ] {
            let json = format!(
                r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["close"],"action":"{action}"{more}}}]}}"#
            );
            let program = compile(&serde_json::from_str(&json).unwrap()).unwrap();
            let close = ScmpSyscall::from_name("close").unwrap().as_raw_syscall() as u32;
            assert_eq!(run(&program, close, native().unwrap().0), expected, "{action}{more}");
        }
        let json = r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":13}"#;
        let program = compile(&serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(run(&program, 0, native().unwrap().0), 0x0005_000d);
    }

    #[test]
    fn operators_compare_whole_arguments() {
        let holds = |op: &str, value: u64, two: u64, argument: u64| {
            let json = format!(
                r#"{{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{{"names":["close"],"action":"SCMP_ACT_LOG",
                    "args":[{{"index":5,"value":{value},"valueTwo":{two},"op":"{op}"}}]}}]}}"#
            );
            let program = compile(&serde_json::from_str(&json).unwrap()).unwrap();
            let number = ScmpSyscall::from_name("close").unwrap().as_raw_syscall() as u32;
            let call = machine::Call {
                number,
                architecture: native().unwrap().0,
                arguments: [0, 0, 0, 0, 0, argument],
            };
            machine::run(&program, call) == 0x7ffc_0000
        };
        let big = 1u64 << 40;
        for (op, value, two, good, bad) in [
            ("SCMP_CMP_EQ", big, 0, big, 0),
            ("SCMP_CMP_NE", big, 0, 0, big),
            ("SCMP_CMP_LT", big, 0, big - 1, big),
            ("SCMP_CMP_LE", big, 0, big, big + 1),
            ("SCMP_CMP_GE", big, 0, big, big - 1),
            ("SCMP_CMP_GT", big, 0, big + 1, big),
            (
                "SCMP_CMP_MASKED_EQ",
                0xff << 32,
                0x0a << 32,
                0x700_0a00_0000_0001 & !(0xff << 32) | 0x0a << 32,
                0x0b << 32,
            ),
        ] {
            assert!(holds(op, value, two, good) && !holds(op, value, two, bad), "{op}");
        }
    }

    #[test]
    fn an_open_profile_has_no_prologue() {
        let profile = serde_json::from_str(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#).unwrap();
        let program = compile(&profile).unwrap();
        assert_eq!(run(&program, 9999, native().unwrap().0), ALLOW);
    }

    #[test]
    fn nonsense_is_refused() {
        for json in [
            // libseccomp 2.5 has no end with these (found by fuzzing).
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[
                {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":5,"op":"SCMP_CMP_GT"},
                    {"index":2,"value":1,"op":"SCMP_CMP_LE"}]},
                {"names":["socket"],"action":"SCMP_ACT_ALLOW","args":[{"index":1,"value":5,"op":"SCMP_CMP_GT"},
                    {"index":3,"value":1,"op":"SCMP_CMP_GE"}]}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG","errnoRet":1}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW",
                "args":[{"index":6,"value":1,"op":"SCMP_CMP_EQ"}]}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","defaultErrnoRet":1}"#,
            r#"{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":65536}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_TRACE","errnoRet":65536}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":[],"action":"SCMP_ACT_ERRNO"}]}"#,
            r#"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_M68K"]}"#,
        ] {
            assert!(compile(&serde_json::from_str(json).unwrap()).is_err(), "{json}");
        }
    }
}
