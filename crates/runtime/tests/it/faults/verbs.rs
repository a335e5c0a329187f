//! The commands that are walked: where a container has to be for each, and what has to hold when it says that it has
//! succeeded.

use std::fs::{self, File};
use std::process::Command;

use super::containers::{await_that, brief, furnished, lasting, looks, status};
use crate::bundle::{Bundle, Outcome};

pub(super) struct Verb {
    pub(super) bundle: fn() -> Bundle,
    /// Brings the container to where the command is for it.
    pub(super) before: fn(&Bundle),
    pub(super) command: fn(&Bundle) -> Command,
    /// What has to hold after a success.
    pub(super) success: fn(&Bundle, &Told<'_>),
    /// What a container looks like after it; empty where that is nothing to compare.
    pub(super) looks: fn(&Bundle) -> String,
}

/// What a command said, and how it would have been if nothing had befallen it.
pub(super) struct Told<'a> {
    pub(super) outcome: &'a Outcome,
    /// The looks of its container then, if they have to be the same.
    pub(super) looks: Option<&'a str>,
    /// All of it in words.
    pub(super) words: &'a str,
}

pub(super) const OF_RUNNING: Verb = Verb {
    bundle: lasting,
    before: running,
    command: delete_by_force,
    success: |_, _| {},
    looks: |_| String::new(),
};

pub(super) const CREATE: Verb =
    Verb { before: |_| {}, command: create, success: can_start, looks: started_looks, ..OF_RUNNING };

pub(super) const CREATE_FURNISHED: Verb = Verb { bundle: furnished, ..CREATE };

pub(super) const RUN_DETACHED: Verb =
    Verb { before: |_| {}, command: run_detached, success: runs, looks, ..OF_RUNNING };

pub(super) const RUN_FURNISHED: Verb = Verb { bundle: furnished, ..RUN_DETACHED };

pub(super) const RUN: Verb = Verb {
    bundle: brief,
    before: |_| {},
    command: |bundle| with_bundle(bundle, &["run"]),
    success: |bundle, told| {
        has_run(bundle, told);
        is_gone(bundle, told);
    },
    ..OF_RUNNING
};

pub(super) const START: Verb = Verb { before: created, command: start, success: runs, looks, ..OF_RUNNING };

pub(super) const START_FURNISHED: Verb = Verb { bundle: furnished, ..START };

pub(super) const EXEC: Verb = Verb { command: exec, success: has_run, ..OF_RUNNING };

pub(super) const EXEC_FURNISHED: Verb = Verb { bundle: furnished, ..EXEC };

pub(super) const DELETE: Verb = Verb { before: created, command: delete, success: is_gone, ..OF_RUNNING };

pub(super) const DELETE_BY_FORCE: Verb = Verb { success: is_gone, ..OF_RUNNING };

pub(super) const DELETE_FURNISHED: Verb = Verb { bundle: furnished, ..DELETE_BY_FORCE };

pub(super) const KILL: Verb =
    Verb { command: |bundle| bundle.runtime(&["kill", &bundle.id, "KILL"]), success: ends, ..OF_RUNNING };

pub(super) const KILL_ALL: Verb = Verb {
    command: |bundle| bundle.runtime(&["kill", "--all", &bundle.id, "KILL"]),
    success: ends,
    ..OF_RUNNING
};

pub(super) const PAUSE: Verb = Verb {
    command: |bundle| bundle.runtime(&["pause", &bundle.id]),
    success: |bundle, _| assert_eq!(status(bundle), "paused"),
    ..OF_RUNNING
};

pub(super) const RESUME: Verb = Verb {
    before: paused,
    command: |bundle| bundle.runtime(&["resume", &bundle.id]),
    success: |bundle, _| assert_eq!(status(bundle), "running"),
    ..OF_RUNNING
};

pub(super) const UPDATE: Verb = Verb {
    command: |bundle| bundle.runtime(&["update", "--pids-limit", "77", "--cpu-share", "300", &bundle.id]),
    success: |bundle, _| {
        let limit = fs::read_to_string(bundle.cgroup("pids").join("pids.max")).unwrap();
        assert_eq!(limit.trim(), "77");
        assert_eq!(status(bundle), "running");
    },
    ..OF_RUNNING
};

pub(super) const LIST: Verb = Verb {
    command: |bundle| bundle.runtime(&["list"]),
    success: |bundle, told| {
        // One that can't be looked at is left out, in so many words.
        let text = [told.outcome.stdout.as_str(), &told.outcome.stderr].concat();
        assert!(text.contains(&bundle.id), "{}", told.words);
    },
    ..OF_RUNNING
};

pub(super) const STATE: Verb = Verb {
    command: |bundle| bundle.runtime(&["state", &bundle.id]),
    success: |_, told| assert!(told.outcome.stdout.contains("\"running\""), "{}", told.words),
    ..OF_RUNNING
};

pub(super) const EVENTS: Verb = Verb {
    command: |bundle| bundle.runtime(&["events", "--stats", &bundle.id]),
    success: |bundle, told| {
        let stats: serde_json::Value = serde_json::from_str(&told.outcome.stdout).expect(told.words);
        assert_eq!(stats["id"], bundle.id.as_str(), "{}", told.words);
    },
    ..OF_RUNNING
};

pub(super) const PS: Verb = Verb {
    command: |bundle| bundle.runtime(&["ps", "--format", "json", &bundle.id]),
    success: |_, told| assert_ne!(told.outcome.stdout.trim(), "[]", "{}", told.words),
    ..OF_RUNNING
};

pub(super) fn created(bundle: &Bundle) {
    let output = File::create(bundle.directory.join("output")).unwrap();
    let status = create(bundle).stdout(output.try_clone().unwrap()).stderr(output).status().unwrap();
    assert!(status.success(), "{}", bundle.output());
}

pub(super) fn running(bundle: &Bundle) {
    created(bundle);
    start(bundle).output().unwrap();
}

fn paused(bundle: &Bundle) {
    running(bundle);
    bundle.command(&["pause", &bundle.id]).good();
}

pub(super) fn create(bundle: &Bundle) -> Command {
    with_bundle(bundle, &["create"])
}

fn run_detached(bundle: &Bundle) -> Command {
    with_bundle(bundle, &["run", "--detach"])
}

fn with_bundle(bundle: &Bundle, verb: &[&str]) -> Command {
    let mut command = bundle.runtime(driver(bundle));
    command.args(verb).arg("--bundle").arg(&bundle.directory).arg(&bundle.id);
    command
}

/// The flag for a container that is to have a scope of systemd.
pub(super) fn driver(bundle: &Bundle) -> &'static [&'static str] {
    let path = bundle.spec["linux"]["cgroupsPath"].as_str().unwrap();
    if path.contains(':') { &["--systemd-cgroup"] } else { &[] }
}

fn start(bundle: &Bundle) -> Command {
    bundle.runtime(&["start", &bundle.id])
}

fn exec(bundle: &Bundle) -> Command {
    bundle.runtime(&["exec", &bundle.id, "echo", "ran"])
}

fn delete(bundle: &Bundle) -> Command {
    bundle.runtime(&["delete", &bundle.id])
}

fn delete_by_force(bundle: &Bundle) -> Command {
    bundle.runtime(&["delete", "--force", &bundle.id])
}

fn started_looks(bundle: &Bundle) -> String {
    bundle.command(&["start", &bundle.id]).good();
    looks(bundle)
}

fn can_start(bundle: &Bundle, told: &Told<'_>) {
    assert_eq!(status(bundle), "created", "{}", told.words);
    has_its_looks(&started_looks(bundle), told);
}

fn runs(bundle: &Bundle, told: &Told<'_>) {
    assert_eq!(status(bundle), "running", "{}", told.words);
    has_its_looks(&looks(bundle), told);
}

fn has_its_looks(present: &str, told: &Told<'_>) {
    if let Some(expected) = told.looks {
        assert_eq!(present, expected, "{}", told.words);
    }
}

fn has_run(_: &Bundle, told: &Told<'_>) {
    assert_eq!(told.outcome.stdout, "ran\n", "{}", told.words);
}

fn is_gone(bundle: &Bundle, _: &Told<'_>) {
    assert!(bundle.command(&["state", &bundle.id]).bad().contains("does not exist"));
}

fn ends(bundle: &Bundle, _: &Told<'_>) {
    await_that("end", || status(bundle) == "stopped");
}
