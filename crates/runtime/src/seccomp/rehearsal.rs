//! A profile's way to a filter without a kernel, and what must hold of the result.

use std::path::Path;

use barge_oci::runtime_spec::{LinuxSeccomp, LinuxSeccompAction as Action, Spec};

use super::machine::{self, Call};
use super::{Filter, Owner, cache};

/// System calls of each kind: named by many profiles, by few, by none, of x32, and no number at all.
const NUMBERS: [u32; 9] = [0, 1, 59, 165, 257, 435, 437, 0x4000_0001, u32::MAX];
const X86_64: u32 = 0xc000_003e;
const ARCHITECTURES: [u32; 4] = [X86_64, 0x4000_0003, 0xc000_00b7, 0x1234];
const ARGUMENTS: [[u64; 6]; 3] = [[0; 6], [u64::MAX; 6], [1, 2, 3, 4, 5, 6]];

/// Compiles a profile and, if there is a filter, runs it.
///
/// Panics if the kernel would not take the filter, or if it answers what the profile does not say.
pub(crate) fn rehearse(profile: &LinuxSeccomp) {
    let (spec, bundle) = (Spec::default(), Path::new("/"));
    let owner = Owner { spec: &spec, id: "id", bundle, init_pid: None };
    cache::file_name(profile).expect("every profile has a name");
    let Ok(filter) = Filter::of(profile, None, owner) else { return };
    let program = &filter.instructions;
    machine::check(program);
    for (number, architecture) in NUMBERS.iter().flat_map(|n| ARCHITECTURES.map(|a| (*n, a))) {
        for arguments in ARGUMENTS {
            let answer = machine::run(program, Call { number, architecture, arguments });
            assert!(is_said(profile, answer), "{answer:#x} to {number} of {architecture:#x}: {profile:?}");
        }
    }
}

/// Whether some part of the profile gives this answer; besides it there are `ENOSYS` to unknown calls, and death to
/// those of architectures that it does not name.
fn is_said(profile: &LinuxSeccomp, answer: u32) -> bool {
    const KILL_THREAD: u32 = 0;
    const ENOSYS: u32 = 0x0005_0000 | 38;
    let rules = profile.syscalls().iter().flatten().map(|rule| rule.action());
    let mut actions = rules.chain([profile.default_action()]);
    matches!(answer, KILL_THREAD | ENOSYS) || actions.any(|action| class(action) == answer & 0xffff_0000)
}

/// `SECCOMP_RET_*` without the data.
fn class(action: Action) -> u32 {
    match action {
        Action::ScmpActKill | Action::ScmpActKillThread => 0,
        Action::ScmpActKillProcess => 0x8000_0000,
        Action::ScmpActTrap => 0x0003_0000,
        Action::ScmpActErrno => 0x0005_0000,
        Action::ScmpActTrace => 0x7ff0_0000,
        Action::ScmpActLog => 0x7ffc_0000,
        Action::ScmpActAllow => 0x7fff_0000,
        Action::ScmpActNotify => 0x7fc0_0000,
    }
}
