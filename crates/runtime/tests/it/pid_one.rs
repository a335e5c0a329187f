//! The small init of containers.

use std::time::{Duration, Instant};

use crate::bundle::{Bundle, program};

fn with_init(script: &str) -> Bundle {
    let bundle = Bundle::new(&["/sbin/docker-init", "--", "sh", "-c", script]);
    bundle.bind(&program(), "/sbin/docker-init", &["ro"])
}

#[test]
fn the_programs_code_is_the_containers() {
    assert_eq!(with_init("exit 5").run().code, 5);
    assert_eq!(with_init("kill -9 $$").run().code, 137);
}

/// Docker's profile answers clone3 with ENOSYS.
#[test]
fn it_needs_no_clone3() {
    let profile = serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]
    });
    assert_eq!(with_init("exit 6").set("/linux/seccomp", profile).run().code, 6);
}

#[test]
fn orphans_are_reaped() {
    let script = "(sh -c 'sleep 0.1 & exit 0'); sleep 0.5; cat /proc/[0-9]*/stat | grep -c ') Z '; echo $$";
    let text = with_init(script).run().good();
    assert_eq!(text, "0\n2\n");
}

#[test]
fn signals_reach_the_program() {
    let bundle = with_init("trap 'echo term; exit 9' TERM; echo ready; while true; do sleep 0.05; done");
    bundle.start();
    let deadline = Instant::now() + Duration::from_secs(10);
    let wait_for = |word: &str| {
        while !bundle.output().contains(word) {
            assert!(Instant::now() < deadline, "{}", bundle.output());
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for("ready");
    bundle.command(&["kill", &bundle.id, "TERM"]).good();
    wait_for("term");
}

#[test]
fn a_missing_program_is_127() {
    let bundle = Bundle::new(&["/sbin/docker-init", "--", "nope"]);
    let outcome = bundle.bind(&program(), "/sbin/docker-init", &["ro"]).run();
    assert_eq!(outcome.code, 127);
    assert!(outcome.stderr.contains("executable file not found"), "{outcome:?}");
}
