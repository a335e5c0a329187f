//! Descriptors that the caller leaks, and working directories behind them (CVE-2024-21626).

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::{after, run_after};
use crate::bundle::Bundle;

/// The caller leaks two directories of the host on purpose.
const LEAK: &str = "exec 7</etc 9</";
const LIST: &str = "ls /proc/self/fd | sort -n";
/// The fourth is the directory that `ls` itself reads.
const THREE: &str = "0\n1\n2\n3\n";

#[test]
fn only_the_three_streams_reach_the_program() {
    assert_eq!(run_after(&Bundle::shell(LIST), LEAK).good(), THREE);
}

#[test]
fn only_what_is_asked_for_reaches_programs_and_nothing_hooks() {
    let hook = "ls /proc/self/fd > /tmp/hook";
    let bundle = Bundle::shell(&format!("{LIST} > /tmp/init; sleep 100")).set(
        "/hooks/startContainer",
        json!([{"path": "/bin/sh", "args": ["sh", "-c", hook], "env": ["PATH=/bin"]}]),
    );
    bundle.write();
    let place = bundle.directory.to_str().unwrap();
    // Descriptor 3 is the only one asked for; 7 and 9 are there too.
    let leak = format!("exec 3</dev/null; {LEAK}");
    after(
        &bundle,
        &format!("{leak}; exec >/dev/null 2>&1"),
        &["run", "-d", "--preserve-fds", "1", "-b", place, &bundle.id],
    )
    .good();
    let read = |name: &str| fs::read_to_string(bundle.rootfs().join("tmp").join(name)).unwrap_or_default();
    super::await_that("the list", || read("init").lines().count() >= 5);
    assert_eq!((read("hook").as_str(), read("init").as_str()), (THREE, "0\n1\n2\n3\n4\n"));
    let exec = |flags: &[&str]| {
        let all: Vec<&str> =
            ["exec"].iter().chain(flags).chain(&[bundle.id.as_str(), "sh", "-c", LIST]).copied().collect();
        after(&bundle, &leak, &all).good()
    };
    assert_eq!(exec(&[]), THREE);
    assert_eq!(exec(&["--preserve-fds", "1"]), "0\n1\n2\n3\n4\n");
}

#[test]
fn a_working_directory_behind_a_descriptor_is_refused() {
    let numbered = (3..14).map(|number| format!("/proc/self/fd/{number}"));
    let odd = [
        "/proc/self/fd/7/../..",
        "/proc/1/fd/7",
        "/proc/thread-self/fd/7",
        "/proc/self/task/1/fd/7",
        "/link",
    ];
    for directory in numbered.chain(odd.map(str::to_owned)) {
        let bundle = Bundle::shell("pwd; ls").set("/process/cwd", json!(directory));
        symlink("/proc/self/fd/7", bundle.rootfs().join("link")).unwrap();
        let outcome = run_after(&bundle, LEAK);
        assert_ne!(outcome.code, 0, "{directory}: {outcome:?}");
        assert!(!outcome.stdout.contains("passwd"), "{directory}: {outcome:?}");
    }
}

/// No closing of descriptors helps here: only the look at where one stands does.
#[test]
fn a_working_directory_behind_a_preserved_descriptor_is_refused() {
    let breakout = "outside of container mount namespace root";
    let bundle = Bundle::shell("sleep 100").set("/process/cwd", json!("/link"));
    symlink("/proc/self/fd/3", bundle.rootfs().join("link")).unwrap();
    bundle.write();
    let place = bundle.directory.to_str().unwrap().to_owned();
    let flags = ["run", "--preserve-fds", "1", "-b", &place, &bundle.id];
    let open = format!("exec 3<{place}");
    let outcome = after(&bundle, &open, &flags);
    assert_ne!(outcome.code, 0, "{outcome:?}");
    let bundle = bundle.set("/process/cwd", json!("/"));
    bundle.start();
    for directory in ["/proc/self/fd/3", "/proc/self/fd/3/state", "/link", "/link/.."] {
        let flags = ["exec", "--preserve-fds", "1", "--cwd", directory, &bundle.id, "ls"];
        let outcome = after(&bundle, &open, &flags);
        assert!(outcome.code != 0 && outcome.stderr.contains(breakout), "{directory}: {outcome:?}");
    }
    assert!(bundle.directory.join("state").is_dir(), "the test needs a directory below the descriptor's");
}
