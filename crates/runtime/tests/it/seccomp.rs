//! System calls that a container may not make.

use std::fs;

use serde_json::{Value, json};

use crate::bundle::Bundle;

fn refuse_mkdir() -> Value {
    json!({"defaultAction": "SCMP_ACT_ALLOW",
           "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]})
}

#[test]
fn a_filter_holds_with_and_without_new_privileges() {
    for no_new_privileges in [false, true] {
        let bundle = Bundle::shell("mkdir /tmp/x; grep Seccomp: /proc/self/status")
            .set("/linux/seccomp", refuse_mkdir())
            .set("/process/noNewPrivileges", json!(no_new_privileges));
        let outcome = bundle.run();
        assert_eq!(outcome.stdout, "Seccomp:\t2\n", "{outcome:?}");
        assert!(outcome.stderr.contains("No space left"), "{outcome:?}");
    }
}

#[test]
fn compiled_filters_are_kept_and_damaged_ones_made_again() {
    let bundle =
        Bundle::shell("mkdir /tmp/x 2>/dev/null || echo refused").set("/linux/seccomp", refuse_mkdir());
    let cache = bundle.directory.join("cache");
    let files = || -> Vec<_> { fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().path()).collect() };
    for _ in 0..2 {
        assert_eq!(bundle.drive(json!({"cache": cache})).good(), "refused\n");
        assert_eq!(files().len(), 1);
    }
    let whole = fs::read(&files()[0]).unwrap();
    fs::write(&files()[0], &whole[..whole.len() - 3]).unwrap();
    assert_eq!(bundle.drive(json!({"cache": cache})).good(), "refused\n");
    assert_eq!(fs::read(&files()[0]).unwrap(), whole);
}

/// Of what the runtime does by itself under the filter, only what every program needs has to be allowed.
#[test]
fn a_filter_may_forbid_what_only_the_runtime_would_use() {
    let bundle = Bundle::shell("echo fine").set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW",
               "syscalls": [{"names": ["sendmsg", "recvmsg", "sendto", "recvfrom", "close_range", "faccessat2",
                                       "openat2", "mount", "move_mount", "open_tree", "clone3", "setns"],
                             "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}),
    );
    assert_eq!(bundle.drive(json!({})).good(), "fine\n");
    assert_eq!(bundle.drive(json!({"user": "app"})).good(), "fine\n");
}

#[test]
fn unknown_calls_are_unknown_rather_than_forbidden() {
    // The profile allows what a shell needs and nothing newer; 4000 is nobody's number.
    let bundle = Bundle::shell("true").set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["no_such_call"], "action": "SCMP_ACT_ALLOW"}]}),
    );
    // Nothing at all is allowed: even the report of the failure is. The parent sees a dead init.
    assert_ne!(bundle.drive(json!({})).code, 0);
}
