//! The walks: each command, each side of it, each kind of fault.

use std::path::Path;

use nix::errno::Errno;
use nix::unistd::Pid;

use super::assert_clears;
use super::containers::{await_that, state};
use super::tracer::{Call, Fault, Injection, Side, run};
use super::verbs::{self, Told, Verb};
use crate::bundle::Bundle;

/// Which calls go wrong: the first, and how far apart the others are.
#[derive(Debug, Clone, Copy)]
struct Pace {
    first: usize,
    stride: usize,
}

impl Pace {
    const USUAL: Self = Self { first: 0, stride: 24 };
    /// The guest is far slower: one call of most commands.
    const IN_GUEST: Self = Self { first: 12, stride: 240 };
}

/// What calls fail with, in turn.
const ERRORS: [Errno; 5] = [Errno::EIO, Errno::ENOMEM, Errno::EPERM, Errno::EMFILE, Errno::ENOSPC];

/// What befalls whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    RuntimeDies,
    RuntimeFails,
    ChildDies,
    ChildFails,
    /// The init of a container that is there before the command.
    InitDies,
}

impl Kind {
    fn side(self) -> Side {
        match self {
            Self::RuntimeDies | Self::RuntimeFails | Self::InitDies => Side::Runtime,
            Self::ChildDies | Self::ChildFails => Side::Child,
        }
    }

    fn fails(self) -> bool {
        matches!(self, Self::RuntimeFails | Self::ChildFails)
    }

    fn fault(self, step: usize, bundle: &Bundle) -> Fault {
        match self {
            Self::RuntimeFails | Self::ChildFails => Fault::Error(ERRORS[step % ERRORS.len()]),
            Self::RuntimeDies | Self::ChildDies => Fault::Kill,
            Self::InitDies => Fault::KillOther(Pid::from_raw(state(bundle)["pid"].as_i64().unwrap() as i32)),
        }
    }
}

pub(super) fn walk(name: &str, verb: &Verb, kind: Kind) {
    let bundle = (verb.bundle)();
    let expected = faultless(verb, &bundle);
    let asked = std::env::var("BARGE_FAULTS").ok();
    let all = asked.as_deref() == Some("all");
    let pace = match &asked {
        Some(asked) => Pace { first: 0, stride: if all { 1 } else { asked.parse().unwrap() } },
        None if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() => Pace::IN_GUEST,
        None => Pace::USUAL,
    };
    // When all are taken, each call fails with each error.
    let turns = if all && kind.fails() { ERRORS.len() } else { 1 };
    let mut step = 0;
    loop {
        (verb.before)(&bundle);
        let at = pace.first + step / turns * pace.stride;
        let injection = Injection { side: kind.side(), fault: kind.fault(step, &bundle), at };
        let traced = run(&(verb.command)(&bundle), &bundle.directory, injection);
        let Some(call) = traced.call else { break };
        let after = format!("{injection:?} ({call:?}): {:?}", traced.outcome);
        // Around a right that is missing there may be another way.
        let same = injection.fault != Fault::Error(Errno::EPERM);
        let told = Told { outcome: &traced.outcome, looks: same.then_some(&expected), words: &after };
        judge(verb, kind, &bundle, &call, &told);
        assert_clears(&bundle, &after);
        step += 1;
    }
    assert!(step > 0, "nothing went wrong");
    assert_clears(&bundle, "a command whose every call was done");
    if pace.first == 0 {
        assert_eq!(faultless(verb, &bundle), expected);
    }
    if asked.is_some() {
        tell(name, kind, step);
    }
}

#[expect(clippy::print_stderr, reason = "how many there are is what one asks for all of them for")]
fn tell(name: &str, kind: Kind, steps: usize) {
    eprintln!("{name}, {kind:?}: {steps} steps");
}

/// The looks of a container that nothing befell.
fn faultless(verb: &Verb, bundle: &Bundle) -> String {
    (verb.before)(bundle);
    let output = bundle.directory.join("output");
    let output = std::fs::File::options().append(true).create(true).open(output).unwrap();
    let status = (verb.command)(bundle).stdout(output.try_clone().unwrap()).stderr(output).status().unwrap();
    assert!(status.success(), "{}", bundle.output());
    let looks = (verb.looks)(bundle);
    assert_clears(bundle, "a command without a fault");
    looks
}

/// Whether the outcome is an honest one.
fn judge(verb: &Verb, kind: Kind, bundle: &Bundle, call: &Call, told: &Told<'_>) {
    let (outcome, words) = (told.outcome, told.words);
    match (kind, outcome.code) {
        (Kind::RuntimeDies, code) => assert_eq!(code, 128 + 9, "{words}"),
        // When all was said that there is to say, its death is its own.
        (Kind::InitDies, 0) => await_that("end", || is_over(bundle)),
        (Kind::ChildDies, 0) if ends_after(bundle, call.pid) => {}
        // By then the command may have ended; the container's state tells.
        (Kind::ChildFails, 0) if call.is_wait_for_start() => await_that("end", || is_over(bundle)),
        (_, 0) => (verb.success)(bundle, told),
        // Before `main`, Rust's own library looks at its streams and gives up without a word.
        (_, _) => assert!(!kind.fails() || !outcome.stderr.is_empty() || call.is_poll(), "{words}"),
    }
}

fn is_over(bundle: &Bundle) -> bool {
    let state = bundle.command(&["state", &bundle.id]);
    // A process that is frozen does not even die.
    ["\"stopped\"", "\"paused\""].iter().any(|word| state.stdout.contains(word))
        || state.stderr.contains("does not exist")
}

/// Whether the container is at its end because of what befell one of its processes, which may take a moment.
fn ends_after(bundle: &Bundle, disturbed: i32) -> bool {
    let state = state(bundle);
    if state["pid"] == disturbed {
        await_that("end", || is_over(bundle));
        return true;
    }
    state["status"] == "stopped"
}

/// A test for each walk, on hosts of which `$if` says that it can be walked there.
macro_rules! walks {
    ($if:expr, $verbs:ident: $($test:ident: $verb:ident, $kind:ident;)*) => {
        $(#[test]
        fn $test() {
            if $if {
                walk(stringify!($verb), &$verbs::$verb, Kind::$kind);
            }
        })*
    };
}
pub(super) use walks;

walks! { true, verbs:
    create_dies: CREATE, RuntimeDies;
    create_fails: CREATE, RuntimeFails;
    the_init_dies_in_create: CREATE, ChildDies;
    the_init_fails_in_create: CREATE, ChildFails;
    create_dies_with_much_to_do: CREATE_FURNISHED, RuntimeDies;
    create_fails_with_much_to_do: CREATE_FURNISHED, RuntimeFails;
    the_init_dies_with_much_to_do: RUN_FURNISHED, ChildDies;
    the_init_fails_with_much_to_do: RUN_FURNISHED, ChildFails;
    run_dies: RUN, RuntimeDies;
    run_fails: RUN, RuntimeFails;
    run_detached_dies: RUN_DETACHED, RuntimeDies;
    run_detached_fails: RUN_DETACHED, RuntimeFails;
    the_init_dies_in_run: RUN_DETACHED, ChildDies;
    the_init_fails_in_run: RUN_DETACHED, ChildFails;
    start_dies: START, RuntimeDies;
    start_fails: START, RuntimeFails;
    the_init_dies_before_start: START, InitDies;
    start_dies_with_hooks: START_FURNISHED, RuntimeDies;
    start_fails_with_hooks: START_FURNISHED, RuntimeFails;
    the_init_dies_before_start_with_hooks: START_FURNISHED, InitDies;
    exec_dies: EXEC, RuntimeDies;
    exec_fails: EXEC, RuntimeFails;
    the_added_process_dies: EXEC, ChildDies;
    the_added_process_fails: EXEC, ChildFails;
    the_init_dies_before_exec: EXEC, InitDies;
    exec_into_a_user_namespace_dies: EXEC_FURNISHED, RuntimeDies;
    the_process_added_to_a_user_namespace_fails: EXEC_FURNISHED, ChildFails;
    delete_dies: DELETE, RuntimeDies;
    delete_fails: DELETE, RuntimeFails;
    delete_by_force_dies: DELETE_BY_FORCE, RuntimeDies;
    delete_by_force_fails: DELETE_BY_FORCE, RuntimeFails;
    the_init_dies_before_delete: DELETE_BY_FORCE, InitDies;
    delete_with_hooks_dies: DELETE_FURNISHED, RuntimeDies;
    kill_dies: KILL, RuntimeDies;
    kill_fails: KILL, RuntimeFails;
    the_init_dies_before_kill: KILL, InitDies;
    kill_all_dies: KILL_ALL, RuntimeDies;
    kill_all_fails: KILL_ALL, RuntimeFails;
    pause_dies: PAUSE, RuntimeDies;
    pause_fails: PAUSE, RuntimeFails;
    the_init_dies_before_pause: PAUSE, InitDies;
    resume_dies: RESUME, RuntimeDies;
    resume_fails: RESUME, RuntimeFails;
    update_dies: UPDATE, RuntimeDies;
    update_fails: UPDATE, RuntimeFails;
    the_init_dies_before_update: UPDATE, InitDies;
    list_fails: LIST, RuntimeFails;
    state_fails: STATE, RuntimeFails;
    ps_fails: PS, RuntimeFails;
    events_fail: EVENTS, RuntimeFails;
}
