//! What callers are told when a container can't be.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;

#[track_caller]
fn refused(bundle: &Bundle, more: Value, kind: &str, message: &str) {
    let outcome = bundle.drive(more);
    assert_eq!(outcome.code, 125, "{outcome:?}");
    let error: Value = serde_json::from_str(outcome.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(error["kind"], kind, "{error}");
    assert!(error["message"].as_str().unwrap().contains(message), "{error}");
    for controller in ["pids", "memory", "freezer"] {
        assert!(!bundle.cgroup(controller).exists(), "the cgroup is gone");
    }
}

#[test]
fn programs_that_can_not_run() {
    let cases: [(&[&str], &str, &str); 6] = [
        (&["nope"], "ExecutableNotFound", r#"exec: "nope": executable file not found in $PATH"#),
        (
            &["/no/such"],
            "ExecutableNotFound",
            r#"exec: "/no/such": stat /no/such: no such file or directory"#,
        ),
        (&["/etc/passwd"], "ExecutableNotRunnable", r#"exec: "/etc/passwd": permission denied"#),
        (&["/etc"], "ExecutableNotRunnable", r#"exec: "/etc": is a directory"#),
        (&["/etc/passwd/x"], "ExecutableNotRunnable", "not a directory"),
        (&["/bin/text"], "ExecutableNotRunnable", "exec /bin/text: exec format error"),
    ];
    for (args, kind, message) in cases {
        let bundle = Bundle::new(args);
        fs::write(bundle.rootfs().join("bin/text"), "just text").unwrap();
        std::os::unix::fs::chown(bundle.rootfs().join("bin/text"), Some(0), Some(0)).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(bundle.rootfs().join("bin/text"), mode).unwrap();
        refused(&bundle, json!({}), kind, message);
    }
}

#[test]
fn users_that_do_not_exist() {
    let bundle = Bundle::shell("true");
    let words = "unable to find user ghost: no matching entries in passwd file";
    refused(&bundle, json!({"user": "ghost"}), "User", words);
    let words = "unable to find group ghosts: no matching entries in group file";
    refused(&bundle, json!({"user": "app:ghosts"}), "User", words);
}

#[test]
fn mounts_that_fail() {
    let bundle = Bundle::shell("true").bind("/no/such/source".as_ref(), "/x", &[]);
    refused(&bundle, json!({}), "Mount", "bind source path does not exist: /no/such/source");
    let bundle = Bundle::shell("true").mount(json!({"destination": "/x", "type": "nosuchfs"}));
    refused(&bundle, json!({}), "Mount", "no such device");
    let bundle = Bundle::shell("true").bind("/etc".as_ref(), "/etc/passwd", &[]);
    refused(&bundle, json!({}), "Mount", "not a directory");
    let bundle = Bundle::shell("true").set("/root/path", json!("nowhere"));
    refused(&bundle, json!({}), "Mount", "no such file or directory");
    let bundle = Bundle::shell("true").set("/root/path", json!("rootfs/bin/sh"));
    refused(&bundle, json!({}), "Mount", "rootfs/bin/sh\": not a directory");
}

#[test]
fn working_directories_that_are_files() {
    let bundle = Bundle::shell("true").set("/process/cwd", json!("/etc/passwd"));
    refused(&bundle, json!({}), "System", "not a directory");
}

#[test]
fn limits_that_the_kernel_refuses() {
    let bundle = Bundle::shell("true").set("/linux/resources/cpu", json!({"cpus": "0-4095"}));
    refused(&bundle, json!({}), "System", "cpuset.cpus");
    let bundle =
        Bundle::shell("true").set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 2, "hard": 1}]));
    refused(&bundle, json!({}), "Invalid", "soft limit");
}

#[test]
fn namespaces_that_are_not_there() {
    let bundle = Bundle::shell("true")
        .set("/linux/namespaces", json!([{"type": "mount"}, {"type": "network", "path": "/proc/0/ns/net"}]));
    refused(&bundle, json!({}), "System", "open net namespace");
}

#[test]
fn a_signal_that_is_none_is_refused_in_runcs_words() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    for signal in ["FOO", "RTMIN+31", "RTMIN+2147483647", "RTMAX--2147483648"] {
        let error = bundle.command(&["kill", &bundle.id, signal]).bad();
        assert!(error.ends_with(&format!("unknown signal {signal:?}\n")), "{error}");
    }
    assert!(bundle.command(&["state", &bundle.id]).good().contains("\"running\""));
}
