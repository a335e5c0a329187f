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
    assert!(
        bundle.command(&["start", &bundle.id]).bad().contains("cannot start an already running container")
    );
    assert!(bundle.command(&["delete", &bundle.id]).bad().contains("that is not stopped: running"));
    let list = bundle.command(&["list", "--quiet"]).good();
    assert_eq!(list.trim(), bundle.id);
    bundle.command(&["kill", &bundle.id, "SIGKILL"]).good();
    await_status(&bundle, "stopped");
    assert!(bundle.command(&["kill", &bundle.id]).bad().contains("container not running"));
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
    for option in ["remount", "iversion", "noiversion", "ridmap", "rro", "tmpcopyup"] {
        assert!(features["mountOptions"].as_array().unwrap().iter().any(|o| o == option), "{option}");
    }
    assert!(
        features["linux"]["seccomp"]["archs"].as_array().unwrap().iter().any(|a| a == "SCMP_ARCH_X86_64")
    );
    let annotations = features["potentiallyUnsafeConfigAnnotations"].as_array().unwrap();
    assert!(annotations.iter().any(|a| a == "org.systemd.property."), "{annotations:?}");
}

#[test]
fn bad_ids_and_flags_are_refused() {
    let bundle = Bundle::shell("true");
    assert!(bundle.command(&["state", "../etc"]).bad().contains("invalid container ID"));
    assert!(bundle.command(&["no-such-verb"]).bad().contains("no-such-verb"));
    assert!(bundle.command(&["--systemd-cgroup", "state", "x"]).bad().contains("does not exist"));
}

fn state(bundle: &Bundle) -> Value {
    serde_json::from_str(&bundle.command(&["state", &bundle.id]).good()).unwrap()
}

#[test]
fn the_state_tells_version_bundle_annotations_and_a_pid_while_there_is_a_process() {
    let bundle = Bundle::shell("sleep 1000").set("/annotations", serde_json::json!({"a.key": "value"}));
    assert!(create(&bundle).success());
    for operation in [None, Some("start")] {
        operation.into_iter().for_each(|verb| drop(bundle.command(&[verb, &bundle.id]).good()));
        let told = state(&bundle);
        assert_eq!(told["ociVersion"], bundle.spec["ociVersion"]);
        assert_eq!(told["id"], bundle.id);
        assert_eq!(told["bundle"], bundle.directory.to_str().unwrap());
        assert_eq!(told["annotations"]["a.key"], "value");
        let pid = told["pid"].as_i64().unwrap();
        assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "{told}");
    }
    bundle.command(&["kill", &bundle.id, "KILL"]).good();
    await_status(&bundle, "stopped");
    assert_eq!(state(&bundle)["pid"], 0);
}

#[test]
fn a_created_container_can_be_killed() {
    let bundle = Bundle::shell("echo never");
    assert!(create(&bundle).success());
    bundle.command(&["kill", &bundle.id, "KILL"]).good();
    await_status(&bundle, "stopped");
    assert!(
        bundle.command(&["start", &bundle.id]).bad().contains("cannot start a container that has stopped")
    );
    assert_eq!(bundle.output(), "");
    bundle.command(&["delete", &bundle.id]).good();
}

#[test]
fn later_changes_of_the_configuration_have_no_effect() {
    let mut bundle = Bundle::shell("echo first");
    assert!(create(&bundle).success());
    bundle = bundle.set("/process/args", serde_json::json!(["echo", "second"]));
    bundle.write();
    bundle.command(&["start", &bundle.id]).good();
    await_status(&bundle, "stopped");
    assert_eq!(bundle.output(), "first\n");
}

#[test]
fn a_container_without_a_process_is_created_and_not_started() {
    let bundle = Bundle::shell("true").set("/process", Value::Null);
    assert!(bundle.run().bad().contains("process: is missing"));
    assert!(create(&bundle).success(), "{}", bundle.output());
    assert_eq!(status(&bundle), "created");
    assert!(bundle.command(&["start", &bundle.id]).bad().contains("process: is missing"));
    assert_eq!(status(&bundle), "created");
    bundle.command(&["delete", &bundle.id]).good();
    assert!(!bundle.cgroup("pids").exists());
}

#[test]
fn unknown_properties_and_annotations_are_ignored() {
    let bundle = Bundle::shell("echo good")
        .set("/unknown", serde_json::json!({"a": [1]}))
        .set("/linux/unknown", serde_json::json!(true))
        .set("/process/unknown", serde_json::json!("x"))
        .set("/annotations", serde_json::json!({"org.example.unknown": ""}));
    assert_eq!(bundle.run().good(), "good\n");
}

#[test]
fn invalid_configurations_are_refused_and_leave_nothing() {
    for (pointer, value, reason) in [
        ("/ociVersion", serde_json::json!("2.0.0"), "ociVersion"),
        ("/ociVersion", serde_json::json!("one"), "ociVersion"),
        ("/process/cwd", serde_json::json!("relative"), "process.cwd"),
        ("/process/args", serde_json::json!([]), "process.args"),
        ("/root", Value::Null, "root"),
        ("/root/path", serde_json::json!("nowhere"), "nowhere"),
        ("/process", serde_json::json!("text"), "config.json"),
    ] {
        let bundle = Bundle::shell("true").set(pointer, value);
        assert!(!create(&bundle).success(), "{pointer}");
        assert!(bundle.output().contains(reason), "{pointer}: {}", bundle.output());
        assert!(bundle.command(&["state", &bundle.id]).bad().contains("does not exist"), "{pointer}");
        assert!(!bundle.cgroup("pids").exists(), "{pointer}");
    }
    let bundle = Bundle::shell("true");
    let nowhere = bundle.directory.join("nowhere");
    let error = bundle.command(&["create", "--bundle", nowhere.to_str().unwrap(), &bundle.id]).bad();
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn operations_on_no_container_and_without_an_id_are_errors() {
    let bundle = Bundle::shell("true");
    for verb in ["state", "start", "kill", "delete"] {
        let error = bundle.command(&[verb, &bundle.id]).bad();
        assert!(error.contains("error: container") && error.contains("does not exist"), "{verb}: {error}");
        assert!(!bundle.command(&[verb]).bad().is_empty(), "{verb}");
        assert!(!bundle.command(&[verb, ""]).bad().is_empty(), "{verb}");
    }
}

#[test]
fn only_descriptors_that_are_preserved_reach_the_program() {
    let bundle =
        Bundle::shell("cd /proc/self/fd; for fd in 3 4 5; do test -e $fd && echo $fd; done; cat <&3; true");
    bundle.write();
    for (preserved, expected) in [("1", "3\ngiven\n"), ("2", "3\n4\ngiven\n")] {
        let mut command = std::process::Command::new("sh");
        let script = "exec 3<<E 4</dev/null 5</dev/null\ngiven\nE\nexec \"$@\"";
        command.args(["-c", script, "sh"]).arg(crate::bundle::program());
        command.arg("--root").arg(bundle.directory.join("state"));
        command.args(["run", "--preserve-fds", preserved, "--bundle"]).arg(&bundle.directory).arg(&bundle.id);
        let outcome =
            crate::bundle::Outcome::of(command.stdin(std::process::Stdio::null()).output().unwrap());
        assert_eq!(outcome.good(), expected);
    }
}

/// Where nobody waits to hear of it, the container's own output is where it will be looked for.
#[test]
fn a_program_that_can_not_be_executed_after_start_says_so_in_the_containers_log() {
    for (content, words) in
        [("\u{7f}ELFgarbage", "exec format error"), ("#!/nope/sh\n", "no such file or directory")]
    {
        let bundle = Bundle::new(&["/bin/bad"]);
        let file = bundle.rootfs().join("bin/bad");
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        assert!(create(&bundle).success());
        bundle.command(&["start", &bundle.id]).good();
        await_status(&bundle, "stopped");
        assert_eq!(bundle.output().trim_end(), format!("exec /bin/bad: {words}"), "{content:?}");
    }
}

/// The kernel keeps from process 1 what it has no handler for.
#[test]
fn a_container_that_waits_for_its_start_can_be_ended_by_its_signals() {
    for signal in ["TERM", "INT", "QUIT"] {
        let bundle = Bundle::shell("trap '' TERM; sleep 1000");
        assert!(create(&bundle).success());
        bundle.command(&["kill", &bundle.id, signal]).good();
        await_status(&bundle, "stopped");
        bundle.command(&["start", &bundle.id]).bad();
        bundle.command(&["delete", &bundle.id]).good();
    }
    // Its program has none of that.
    let bundle = Bundle::shell("grep SigCgt /proc/self/status; echo $$");
    assert!(create(&bundle).success());
    bundle.command(&["start", &bundle.id]).good();
    await_status(&bundle, "stopped");
    assert_eq!(bundle.output(), "SigCgt:\t0000000000000000\n1\n");
}
