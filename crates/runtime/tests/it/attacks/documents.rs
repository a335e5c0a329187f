//! Documents that nobody can mean: no files, without end, with a million of everything; and files that are written by
//! name where others may write too.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use serde_json::json;

use super::{after, run_bounded};
use crate::bundle::Bundle;

fn create(bundle: &Bundle) -> String {
    let place = bundle.directory.to_str().unwrap();
    let outcome = after(bundle, "true", &["create", "-b", place, &bundle.id]);
    assert_eq!(outcome.code, 1, "{outcome:.300?}");
    assert!(!bundle.directory.join("state").join(&bundle.id).exists());
    outcome.stderr
}

#[test]
fn a_specification_is_a_file_of_bounded_length() {
    let bundle = Bundle::shell("true");
    let config = bundle.directory.join("config.json");
    for (make, words) in [
        ("mkfifo", "not a regular file"),
        ("mkdir", "not a regular file"),
        ("ln -s /dev/zero", "not a regular file"),
        ("ln -s config.json", "symbolic link"),
        ("ln -s nowhere", "o such file"),
        ("truncate -s 100M", "longer than 32 MiB"),
        ("truncate -s 1024G", "longer than 32 MiB"),
    ] {
        let script = format!("{make} {}", config.display());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
        let error = create(&bundle);
        assert!(error.contains(words), "{make}: {error}");
        let _ = (fs::remove_file(&config), fs::remove_dir(&config));
    }
}

#[test]
fn too_many_variables_are_an_error_of_the_program() {
    let mut bundle = Bundle::new(&["/bin/true"]);
    let many: Vec<String> = (0..200_000).map(|n| format!("A{n}=1")).collect();
    bundle.spec["process"]["env"] = json!(many);
    let error = run_bounded(&bundle).bad().to_lowercase();
    assert!(error.contains("argument list too long"), "{error:.300}");
}

#[test]
fn a_specification_of_a_million_mounts_is_refused_unread() {
    let bundle = Bundle::shell("true");
    let mut text = String::from(r#"{"ociVersion":"1.2.0","mounts":["#);
    for number in 0..1_000_000 {
        write!(text, r#"{{"destination":"/m/{number}","type":"tmpfs"}},"#).unwrap();
    }
    fs::write(bundle.directory.join("config.json"), text).unwrap();
    assert!(create(&bundle).contains("longer than 32 MiB"));
}

/// Where the pid file goes, links of others may wait for it under any name.
#[test]
fn the_pid_file_is_written_through_no_link() {
    let bundle = Bundle::shell("sleep 100");
    let victim = bundle.directory.join("victim");
    fs::write(&victim, "untouched").unwrap();
    let file = bundle.directory.join("pid");
    symlink(&victim, &file).unwrap();
    for name in ["pid.tmp", "pid.pid.tmp", ".pid"] {
        symlink(&victim, bundle.directory.join(name)).unwrap();
    }
    let pid = bundle.start();
    assert_eq!(fs::read_to_string(&file).unwrap(), pid.to_string());
    assert!(fs::symlink_metadata(&file).unwrap().is_file());
    assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
}

/// A hook that prints for ever, and one that leaves somebody behind who does.
#[test]
fn hooks_that_never_stop_printing_keep_nobody() {
    let noise = "while :; do echo noise; echo noise >&2; done";
    let bundle = Bundle::shell("echo program");
    let child = bundle.directory.join("child");
    let hook = |script: &str| json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin"], "timeout": 5}]);
    let leave = format!("({noise}) & echo $! > {}", child.display());
    let bundle = bundle.set("/hooks/createRuntime", hook(&leave));
    let outcome = run_bounded(&bundle);
    // Its pipes are gone with the runtime: it may have died of that already.
    let pid: i32 = fs::read_to_string(child).unwrap().trim().parse().unwrap();
    let _ = barge_sys::process::kill(pid, 9);
    assert_eq!(outcome.good(), "program\n");
    let bundle = Bundle::shell("echo program").set("/hooks/createRuntime", hook(noise));
    let bundle = bundle.set("/hooks/createRuntime/0/timeout", json!(1));
    let error = run_bounded(&bundle).bad();
    assert!(error.contains("did not end within its timeout of 1 s") && error.len() < 4096, "{error:.300}");
    let much = "dd if=/dev/zero bs=1M count=256 2>/dev/null; dd if=/dev/zero bs=1M count=64 2>/dev/null >&2";
    let bundle = Bundle::shell("echo program").set("/hooks/createRuntime", hook(much));
    let bundle = bundle.set("/hooks/createRuntime/0/timeout", json!(50));
    assert_eq!(run_bounded(&bundle).good(), "program\n");
}
