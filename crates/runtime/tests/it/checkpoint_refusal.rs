//! Checkpoint and restore where they can't be: what is said, and that nothing comes of it.

use std::io::Write;

use serde_json::json;

use crate::bundle::Bundle;
use crate::checkpoint::{
    checkpoint, count, counts_beyond, eventually, images, restore_command, state, usable,
};

const COUNT: &str =
    "n=0; while true; do n=$((n+1)); echo $n > /tmp/next; mv /tmp/next /tmp/count; sleep 0.05; done";

#[test]
fn a_criu_that_is_missing_or_broken_changes_nothing() {
    let bundle = Bundle::shell(COUNT);
    bundle.start();
    counts_beyond(&bundle, 2);
    let images = images(&bundle);
    let other_cgroup = format!("/barge-{}-other", bundle.id);
    let bundle = bundle.set("/linux/cgroupsPath", json!(other_cgroup));
    bundle.write();
    let plain = bundle.directory.join("config.json");
    for (criu, words) in [
        ("no-such-criu", "executable file not found in $PATH"),
        ("/bin/false", "CRIU refuses a VERSION"),
        (plain.to_str().unwrap(), "permission denied"),
    ] {
        for verb in ["checkpoint", "restore"] {
            let id = if verb == "restore" { format!("{}-other", bundle.id) } else { bundle.id.clone() };
            let mut command = bundle.runtime(&["--criu", criu, verb, "--image-path"]);
            command.arg(&images).arg(&id).current_dir(&bundle.directory);
            let error = crate::bundle::Outcome::of(command.output().unwrap()).bad();
            assert!(error.contains(words), "{verb} with {criu}: {error}");
        }
    }
    assert!(!bundle.directory.join("state").join(format!("{}-other", bundle.id)).exists());
    assert_eq!(state(&bundle, &bundle.id)["status"], "running");
    counts_beyond(&bundle, count(&bundle));
}

#[test]
fn a_kernel_that_criu_does_not_know_is_refused_with_the_log_and_its_errors() {
    let known = std::process::Command::new("criu").arg("--version").output().is_ok();
    if !known || usable() {
        let _ = writeln!(std::io::stderr(), "skipped: CRIU works here, or is missing");
        return;
    }
    let bundle = Bundle::shell(COUNT);
    bundle.start();
    counts_beyond(&bundle, 2);
    let error = checkpoint(&bundle, &[]).bad();
    assert!(error.contains("criu failed: type DUMP") && error.contains("images/dump.log"), "{error}");
    assert!(error.contains("Error (criu/"), "{error}");
    assert_eq!(state(&bundle, &bundle.id)["status"], "running");
    counts_beyond(&bundle, count(&bundle));
    bundle.command(&["delete", "--force", &bundle.id]).good();
    std::fs::write(images(&bundle).join("descriptors.json"), r#"["","",""]"#).unwrap();
    let error = restore_command(&bundle, &[]).arg(&bundle.id).output().unwrap();
    let error = crate::bundle::Outcome::of(error).bad();
    assert!(error.contains("criu failed: type RESTORE") && error.contains("images/restore.log"), "{error}");
    assert!(bundle.command(&["state", &bundle.id]).bad().contains("does not exist"));
    assert!(!bundle.cgroup("pids").exists());
}

#[test]
fn only_what_runs_can_be_saved_and_flags_are_checked_first() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.write();
    let made = bundle.runtime(&["create", "--bundle"]).arg(&bundle.directory).arg(&bundle.id).status();
    assert!(made.unwrap().success());
    let error = checkpoint(&bundle, &[]).bad();
    assert!(error.contains("Container cannot be checkpointed in created state"), "{error}");
    bundle.command(&["start", &bundle.id]).good();
    for (flags, words) in [
        (["--manage-cgroups-mode", "some"], "invalid manage-cgroups-mode value"),
        (["--page-server", "nowhere"], "Use --page-server ADDRESS:PORT"),
        (["--empty-ns", "pid"], "is not supported"),
        (["--status-fd", "77"], "invalid --status-fd argument 77"),
    ] {
        let error = checkpoint(&bundle, &flags).bad();
        assert!(error.contains(words), "{flags:?}: {error}");
    }
    bundle.command(&["kill", &bundle.id, "KILL"]).good();
    eventually("it is still there", || state(&bundle, &bundle.id)["status"] == "stopped");
    let error = checkpoint(&bundle, &[]).bad();
    assert!(error.contains("Container cannot be checkpointed in stopped state"), "{error}");
}

#[test]
fn a_restore_needs_images_and_somebody_to_hold_a_terminal() {
    let bundle = Bundle::shell("true").set("/process/terminal", json!(true));
    bundle.write();
    let outcome = restore_command(&bundle, &["--detach"]).arg(&bundle.id).output().unwrap();
    let error = crate::bundle::Outcome::of(outcome).bad();
    assert!(error.contains("setting console socket"), "{error}");
    if !usable() {
        return;
    }
    let outcome = restore_command(&bundle, &[]).arg(&bundle.id).output().unwrap();
    let error = crate::bundle::Outcome::of(outcome).bad();
    assert!(error.contains("open directory") && error.contains("images"), "{error}");
    assert!(!bundle.cgroup("pids").exists());
    assert!(!bundle.directory.join("state").join(&bundle.id).exists());
}
