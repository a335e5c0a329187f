//! Little memory, hostile processes that are already inside, specifications that nobody can mean.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bundle::{Bundle, Outcome, program};

/// Waits until something that the container does has been done.
fn wait_for(path: &Path) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while fs::symlink_metadata(path).is_err() {
        assert!(Instant::now() < deadline, "{} never came", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// `exec` by a caller that leaks descriptors 3 to 7, the last of which is a directory of the host.
fn leaking_exec(bundle: &Bundle, flags: &[&str], command: &[&str]) -> Outcome {
    let script = "exec 3</dev/null 4<&3 5<&3 6<&3 7</etc; exec \"$@\"";
    let mut exec = Command::new("sh");
    exec.args(["-c", script, "sh"]).arg(program()).arg("--root").arg(bundle.directory.join("state"));
    exec.arg("exec").args(flags).arg(&bundle.id).args(command);
    Outcome::of(exec.output().unwrap())
}

#[test]
fn half_a_mebibyte_of_memory_is_enough() {
    let memory = json!({"limit": 512 << 10, "swap": 512 << 10});
    let brief = Bundle::new(&["echo", "ran"]).set("/linux/resources/memory", memory.clone());
    assert_eq!(brief.run().good(), "ran\n");
    let lasting = Bundle::shell("sleep 100").set("/linux/resources/memory", memory);
    lasting.start();
    assert_eq!(lasting.exec(&["echo", "one more"]).good(), "one more\n");
}

/// CVE-2024-21626 through `exec`: a working directory behind a leaked descriptor, named or behind a link.
#[test]
fn an_added_process_can_not_begin_outside() {
    let bundle = Bundle::shell("ln -s /proc/self/fd/7 /way; sleep 100");
    bundle.start();
    wait_for(&bundle.rootfs().join("way"));
    for number in 3..16 {
        let directory = format!("/proc/self/fd/{number}");
        let outcome = leaking_exec(&bundle, &["--cwd", &directory], &["true"]);
        assert_ne!(outcome.code, 0, "{directory}");
    }
    assert_ne!(leaking_exec(&bundle, &["--cwd", "/way"], &["true"]).code, 0);
}

#[test]
fn only_the_three_streams_reach_an_added_process() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    let list = ["sh", "-c", "ls /proc/self/fd | sort -n"];
    // The fourth is the directory that ls itself reads.
    assert_eq!(leaking_exec(&bundle, &[], &list).good(), "0\n1\n2\n3\n");
    let asked = leaking_exec(&bundle, &["--preserve-fds", "5"], &list).good();
    assert!(asked.lines().any(|number| number == "7"), "{asked}");
}

#[test]
fn account_files_that_turned_hostile_are_an_error_of_exec() {
    let bundle = Bundle::shell("rm /etc/passwd; ln -s /dev/zero /etc/passwd; echo > /done; sleep 100");
    bundle.start();
    wait_for(&bundle.rootfs().join("done"));
    let outcome = bundle.command(&["exec", "--user", "app", &bundle.id, "true"]);
    assert_eq!(outcome.code, 255, "{outcome:?}");
}

#[test]
fn specifications_that_nobody_can_mean_are_errors() {
    let bundle = Bundle::shell("true");
    let deep = format!(r#"{{"ociVersion":"1.0.2","deep":{}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
    let wide =
        format!(r#"{{"ociVersion":"1.0.2","process":{{"cwd":"/","args":["{}"]}}}}"#, "x".repeat(20 << 20));
    let cut = r#"{"ociVersion":"1.0.2","process":{"#.to_owned();
    for text in [deep, wide, cut, "\u{0}".repeat(1 << 20), String::new(), "[]".to_owned()] {
        fs::write(bundle.directory.join("config.json"), &text).unwrap();
        let place = bundle.directory.to_str().unwrap();
        let outcome = bundle.command(&["create", "--bundle", place, &bundle.id]);
        assert_eq!(outcome.code, 1, "{:.80}: {}", text, outcome.stderr);
        assert!(!bundle.directory.join("state").join(&bundle.id).exists());
    }
}
