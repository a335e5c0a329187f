//! The command line: create, start, state, kill, delete, list.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bundle::Bundle;

fn status(bundle: &Bundle) -> String {
    let state: Value = serde_json::from_str(&bundle.command(&["state", &bundle.id]).good()).unwrap();
    state["status"].as_str().unwrap().to_owned()
}

fn await_status(bundle: &Bundle, wanted: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while status(bundle) != wanted {
        assert!(Instant::now() < deadline, "still {}", status(bundle));
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn create(bundle: &Bundle) -> std::process::ExitStatus {
    bundle.write();
    let output = std::fs::File::create(bundle.directory.join("output")).unwrap();
    let mut command = bundle.runtime(&["create", "--bundle", bundle.directory.to_str().unwrap(), &bundle.id]);
    command.stdout(output.try_clone().unwrap()).stderr(output).status().unwrap()
}

#[test]
fn a_container_is_created_started_killed_and_deleted() {
    let bundle = Bundle::shell("echo started; sleep 100");
    assert!(create(&bundle).success());
    assert_eq!(status(&bundle), "created");
    assert_eq!(bundle.output(), "");
    assert!(!create(&bundle).success(), "an id is taken once");
    bundle.command(&["start", &bundle.id]).good();
    assert_eq!(status(&bundle), "running");
    assert!(bundle.command(&["start", &bundle.id]).bad().contains("is running"));
    assert!(bundle.command(&["delete", &bundle.id]).bad().contains("is running"));
    let list = bundle.command(&["list", "--quiet"]).good();
    assert_eq!(list.trim(), bundle.id);
    bundle.command(&["kill", &bundle.id, "SIGKILL"]).good();
    await_status(&bundle, "stopped");
    assert!(bundle.command(&["kill", &bundle.id]).bad().contains("is stopped"));
    bundle.command(&["delete", &bundle.id]).good();
    assert!(bundle.command(&["state", &bundle.id]).bad().contains("does not exist"));
    assert!(!bundle.cgroup("pids").exists());
}

#[test]
fn a_created_container_can_be_deleted_unstarted() {
    let bundle = Bundle::shell("true");
    assert!(create(&bundle).success());
    bundle.command(&["delete", &bundle.id]).good();
    assert!(!bundle.cgroup("pids").exists());
}

#[test]
fn a_create_that_fails_leaves_nothing() {
    let bundle = Bundle::new(&["nope"]);
    assert!(!create(&bundle).success());
    assert!(bundle.command(&["state", &bundle.id]).bad().contains("does not exist"));
    assert!(!bundle.cgroup("pids").exists());
}

#[test]
fn exit_codes_come_through() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -TERM $$; sleep 1", 143)] {
        // The kernel protects process 1 from signals without a handler: this shell is none.
        let bundle = Bundle::shell(&format!("sh -c '{script}'; exit $?"));
        assert_eq!(bundle.run().code, code, "{script}");
    }
}

#[test]
fn features_name_the_specification() {
    let bundle = Bundle::shell("true");
    let features: Value = serde_json::from_str(&bundle.command(&["features"]).good()).unwrap();
    assert_eq!(features["ociVersionMin"], "1.0.0");
    assert_eq!(features["linux"]["seccomp"]["enabled"], true);
}

#[test]
fn bad_ids_and_flags_are_refused() {
    let bundle = Bundle::shell("true");
    assert!(bundle.command(&["state", "../etc"]).bad().contains("invalid container ID"));
    assert!(bundle.command(&["no-such-verb"]).bad().contains("no-such-verb"));
    assert!(bundle.command(&["--systemd-cgroup", "state", "x"]).bad().contains("not supported"));
}
