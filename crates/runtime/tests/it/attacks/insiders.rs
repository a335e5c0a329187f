//! Processes that are already inside, and what they can do to one on its way in: look into it (CVE-2016-9962), stop it,
//! kill it. It is still the runtime until it runs its program.

use std::fs;

use serde_json::json;

use super::{after, run_bounded, with_all_capabilities, without_namespace};
use crate::bundle::{Bundle, Outcome};

/// A hook in the container, while its init is still the runtime, as the same user with the same rights.
#[test]
fn nobody_looks_into_an_init_that_is_still_the_runtime() {
    let look = "for f in exe cwd root fd/0; do readlink /proc/1/$f > /dev/null && echo saw $f; done; \
                for f in /proc/1/fd/* /proc/1/ns/*; do readlink $f > /dev/null && echo saw $f; done; ls /proc/1/root/ | grep -q . && echo saw the root; \
                for f in environ maps mem auxv; do head -c 1 /proc/1/$f | grep -q . && echo saw $f; done; true";
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", format!("({look}) > /seen/file 2> /seen/errors")], "env": ["PATH=/bin"]}]);
    for uid in [0, 1000] {
        let bundle = Bundle::shell("readlink /proc/1/exe")
            .set("/process/user", json!({"uid": uid, "gid": uid}))
            .set("/hooks/startContainer", hook.clone());
        let seen = bundle.rootfs().join("seen");
        fs::create_dir(&seen).unwrap();
        std::os::unix::fs::chown(&seen, Some(uid), None).unwrap();
        // And that it is not for want of a procfs: the program itself is seen.
        assert_eq!(run_bounded(&bundle).good(), "/bin/busybox\n");
        let errors = fs::read_to_string(seen.join("errors")).unwrap();
        assert_eq!(fs::read_to_string(seen.join("file")).unwrap(), "", "{uid}: {errors}");
        assert!(errors.contains("ermission denied"), "{errors}");
    }
}

/// Nobody waits for ever for a process that another one has stopped.
#[test]
fn an_init_that_is_stopped_on_its_way_is_an_error() {
    // Its hook is its child, which may stop it where it is not process 1.
    let bundle = without_namespace(Bundle::shell("true"), "pid");
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", "kill -STOP $PPID"], "env": ["PATH=/bin"]}]);
    for point in ["createContainer", "startContainer"] {
        let bundle =
            without_namespace(Bundle::shell("true"), "pid").set(&format!("/hooks/{point}"), hook.clone());
        let outcome = run_bounded(&bundle);
        assert!(outcome.stderr.contains("stopped by another one"), "{point}: {outcome:?}");
        assert!(!bundle.directory.join("state").join(&bundle.id).exists());
        assert!(!bundle.cgroup("pids").exists());
    }
    drop(bundle);
}

/// What a container's process does to all that come, for as long as it lives.
fn assault(signal: &str) -> Bundle {
    // Not to the processes that its own shell makes: there are none, `kill` and `[` are its own.
    let script = format!(
        "echo > /ready; while :; do for p in /proc/[0-9]*; do n=${{p#/proc/}}; \
           [ $n -gt 1 ] && kill -{signal} $n; done; done 2> /dev/null"
    );
    let bundle = Bundle::shell(&script);
    bundle.start();
    super::await_that("the assault", || bundle.rootfs().join("ready").exists());
    bundle
}

/// What is left of it may hold its streams for ever: they are files.
fn exec_detached(bundle: &Bundle) -> Outcome {
    let errors = bundle.directory.join("errors");
    let before = format!("exec > /dev/null 2> {}", errors.display());
    let outcome = after(bundle, &before, &["exec", "-d", &bundle.id, "sleep", "100"]);
    Outcome { stderr: fs::read_to_string(errors).unwrap(), ..outcome }
}

#[test]
fn exec_into_a_container_that_stops_or_kills_what_comes_ends() {
    for signal in ["STOP", "KILL"] {
        let bundle = assault(signal);
        for _ in 0..5 {
            let outcome = exec_detached(&bundle);
            let known = ["stopped by another one", "ended before it was ready"];
            let told = known.iter().any(|words| outcome.stderr.contains(words));
            assert!(outcome.code == 0 || (outcome.code == 255 && told), "{signal}: {outcome:?}");
        }
        // What it left is the container's, and goes with it.
        bundle.command(&["delete", "--force", &bundle.id]).good();
        assert!(!bundle.cgroup("pids").exists());
    }
}

/// With every capability in the container's namespaces, its processes see none of the runtime's.
#[test]
fn the_runtimes_processes_are_not_in_the_container() {
    let bundle = with_all_capabilities(Bundle::shell("sleep 100"));
    bundle.start();
    let text = bundle.exec(&[
        "sh",
        "-c",
        "for p in /proc/[0-9]*; do cat $p/comm; done | sort; grep PPid /proc/self/status",
    ]);
    let text = text.good();
    assert!(!text.contains("runtime"), "{text}");
    assert!(bundle.exec(&["sh", "-c", "echo $PPID"]).good() == "0\n");
}
