//! Commands about one container at the same time: each does its part, or finds it done.

use std::fs;
use std::process::Stdio;

use serde_json::json;

use crate::bundle::{Bundle, Outcome};

/// Begins all of them before it waits for the first.
fn at_once(bundle: &Bundle, commands: &[Vec<&str>]) -> Vec<Outcome> {
    let begin = |args: &Vec<&str>| {
        bundle.runtime(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let children: Vec<_> = commands.iter().map(begin).collect();
    children.into_iter().map(|child| Outcome::of(child.wait_with_output().unwrap())).collect()
}

/// A container whose poststop hook leaves a line.
fn with_end(script: &str) -> Bundle {
    let bundle = Bundle::shell(script);
    let said = format!("echo over >> {}", bundle.directory.join("log").display());
    bundle.set("/hooks/poststop", json!([{"path": "/bin/sh", "args": ["sh", "-c", said]}]))
}

fn ends(bundle: &Bundle) -> usize {
    fs::read_to_string(bundle.directory.join("log")).unwrap_or_default().lines().count()
}

#[test]
fn all_who_delete_by_force_succeed_and_one_runs_the_hooks() {
    for round in 0..4 {
        let bundle = with_end("sleep 1000");
        bundle.start();
        let delete = vec!["delete", "--force", bundle.id.as_str()];
        for outcome in at_once(&bundle, &vec![delete; 20]) {
            assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{round}");
        }
        assert!(bundle.command(&["state", &bundle.id]).bad().contains("does not exist"));
        assert!(!bundle.cgroup("pids").exists());
        assert_eq!(ends(&bundle), 1, "{round}");
    }
}

#[test]
fn one_of_those_who_delete_without_force_has_done_it() {
    for round in 0..4 {
        let bundle = with_end("true");
        bundle.write();
        bundle.command(&["run", "--keep", "--bundle", bundle.directory.to_str().unwrap(), &bundle.id]).good();
        let outcomes = at_once(&bundle, &vec![vec!["delete", bundle.id.as_str()]; 20]);
        let (good, bad): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(|outcome| outcome.code == 0);
        assert_eq!((good.len(), ends(&bundle)), (1, 1), "{round}: {bad:?}");
        assert!(bad.iter().all(|outcome| outcome.stderr.contains("does not exist")), "{round}: {bad:?}");
    }
}
