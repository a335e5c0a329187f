//! A host that has run out of something, and files that somebody has spoilt.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::assert_clears;
use super::containers::lasting;
use super::tracer::{self, Fault, Injection, Side};
use super::verbs::create;
use crate::bundle::{Bundle, Outcome};

/// The command under limits of the shell.
fn shell(limits: &str, command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{limits}; exec \"$0\" \"$@\"")]);
    shell.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    shell
}

/// `create` under limits, and what it printed: into a file, because who is left of it would hold a pipe open.
fn create_under(bundle: &Bundle, limits: &str) -> (bool, String) {
    let path = bundle.directory.join("output");
    let output = fs::File::create(&path).unwrap();
    let mut command = shell(limits, &create(bundle));
    let status = command.stdout(output.try_clone().unwrap()).stderr(output).status().unwrap();
    (status.success(), fs::read_to_string(path).unwrap())
}

/// `create` that must fail; its words.
fn refused(bundle: &Bundle, limits: &str) -> String {
    let (success, words) = create_under(bundle, limits);
    assert!(!success, "{limits}: {words}");
    assert_clears(bundle, limits);
    words
}

#[test]
fn a_host_without_descriptors_or_memory_says_so_and_keeps_nothing() {
    let bundle = lasting();
    for count in [4, 6, 8, 10] {
        let words = refused(&bundle, &format!("ulimit -n {count}"));
        assert!(words.contains("too many open files"), "{count}: {words}");
    }
    for kibibytes in [2000, 5000, 8000, 12_000] {
        // So early that there may be nobody yet who could say so.
        let limits = format!("ulimit -v {kibibytes}");
        create_under(&bundle, &limits);
        assert_clears(&bundle, &limits);
    }
    // The kernel's answer to that is a signal.
    refused(&bundle, "ulimit -f 0");
}

#[test]
fn who_is_in_its_group_already_outlives_a_create_that_is_killed() {
    let first = lasting();
    create(&first).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    let state = first.command(&["state", &first.id]).good();
    let second = lasting().set("/linux/cgroupsPath", first.spec["linux"]["cgroupsPath"].clone());
    second.write();
    for at in (0..).step_by(5) {
        let injection = Injection { side: Side::Runtime, fault: Fault::Kill, at };
        let call = tracer::run(&create(&second), &second.directory, injection).call;
        second.command(&["delete", "--force", &second.id]).good();
        assert_eq!(first.command(&["state", &first.id]).good(), state, "after {call:?}");
        if call.is_none() {
            break;
        }
    }
    assert_clears(&first, "a neighbour that never was");
}

#[test]
fn a_caller_that_may_have_no_more_processes_is_told() {
    if !Path::new("/sys/fs/cgroup/pids").is_dir() {
        // There the container's init is born into its own cgroup, and does not count in the caller's.
        let _ = writeln!(std::io::stderr(), "skipped: needs cgroup v1");
        return;
    }
    let bundle = lasting();
    let own = Bundle::new(&["true"]).cgroup("pids");
    let group = own.with_extension("caller");
    fs::create_dir(&group).unwrap();
    // The shell becomes the runtime, so that one process is all there may be.
    fs::write(group.join("pids.max"), "1").unwrap();
    let words = refused(&bundle, &format!("echo $$ > {}/cgroup.procs", group.display()));
    assert!(words.contains("resource temporarily unavailable"), "{words}");
    fs::remove_dir(group).unwrap();
}

#[test]
fn a_state_that_can_not_be_read_is_told_and_removed_by_force() {
    let bundle = lasting();
    for (text, at_start) in [("", true), ("{", false), ("{\"version\":1}", true), ("{\"version\":99}", false)]
    {
        let output = fs::File::create(bundle.directory.join("output")).unwrap();
        assert!(
            create(&bundle).stdout(output.try_clone().unwrap()).stderr(output).status().unwrap().success()
        );
        if at_start {
            bundle.command(&["start", &bundle.id]).good();
        }
        let state = bundle.directory.join("state");
        fs::write(state.join(&bundle.id).join("state.json"), text).unwrap();
        for verb in ["state", "start", "delete"] {
            let words = bundle.command(&[verb, &bundle.id]).bad();
            assert!(words.contains("state.json"), "{verb} {text:?}: {words}");
        }
        let list = bundle.command(&["list", "--quiet"]);
        assert!(list.code == 0 && list.stdout.is_empty(), "{list:?}");
        assert!(list.stderr.contains("state.json"), "{list:?}");
        assert_clears(&bundle, text);
    }
}

#[test]
fn force_removes_no_directory_that_is_no_containers() {
    let bundle = lasting();
    let other = bundle.directory.join("state/other");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("kept"), "").unwrap();
    bundle.command(&["delete", "--force", "other"]).good();
    assert!(other.join("kept").exists());
    fs::remove_file(other.join("kept")).unwrap();
    bundle.command(&["delete", "--force", "other"]).good();
    assert!(!other.exists());
}

#[test]
fn a_bundle_may_go_away_between_create_and_start() {
    let bundle = lasting();
    let output = fs::File::create(bundle.directory.join("output")).unwrap();
    assert!(create(&bundle).stdout(output.try_clone().unwrap()).stderr(output).status().unwrap().success());
    fs::remove_file(bundle.directory.join("config.json")).unwrap();
    bundle.command(&["start", &bundle.id]).good();
    assert_eq!(bundle.exec(&["echo", "in"]).good(), "in\n");
    assert_clears(&bundle, "a life without a bundle");
}

#[test]
fn a_state_directory_that_takes_nothing_is_told() {
    let bundle = lasting();
    let state = bundle.directory.join("state");
    fs::create_dir_all(&state).unwrap();
    for options in ["ro", "size=4k,nr_inodes=2"] {
        // In a mount namespace of the shell, so that nothing of it can stay.
        let script = format!("mount -t tmpfs -o {options} tmpfs \"$1\"; shift; exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &script]);
        let inner = create(&bundle);
        command.arg(inner.get_program()).arg(&state).args(inner.get_args());
        let words = Outcome::of(command.output().unwrap()).bad();
        let expected = if options == "ro" { "read-only file system" } else { "no space left on device" };
        assert!(words.contains(expected), "{options}: {words}");
        assert_clears(&bundle, options);
    }
    // A root that is a file, and one that leads nowhere.
    fs::remove_dir(&state).unwrap();
    fs::write(&state, "").unwrap();
    assert!(create(&bundle).output().unwrap().status.code() != Some(0));
    fs::remove_file(&state).unwrap();
    symlink("/nowhere/at/all", &state).unwrap();
    assert!(create(&bundle).output().unwrap().status.code() != Some(0));
    fs::remove_file(&state).unwrap();
}
