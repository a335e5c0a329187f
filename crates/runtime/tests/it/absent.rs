//! What a specification may leave out, and what stands for it then.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bundle::{Bundle, Outcome};

#[test]
fn a_process_without_a_user_is_root() {
    let mut bundle = Bundle::shell("id -u; id -g");
    bundle.spec["process"].as_object_mut().unwrap().remove("user");
    assert_eq!(bundle.run().good(), "0\n0\n");
}

#[test]
fn without_a_linux_section_every_namespace_is_the_callers() {
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
    let links = kinds.map(|kind| format!("/proc/self/ns/{kind}"));
    let script = links.clone().map(|link| format!("readlink {link}")).join("; ");
    let bundle = Bundle::shell(&script).set("/linux", Value::Null).set("/hostname", Value::Null);
    let outcome = bundle.run();
    if outcome.stderr.contains("without a mount namespace of its own needs Linux 6.15") {
        // The reason of a skip is not captured.
        let text = b"skipped: a container without a mount namespace of its own needs Linux 6.15\n";
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text);
        return;
    }
    let own = links.map(|link| format!("{}\n", fs::read_link(link).unwrap().display()));
    assert_eq!(outcome.good(), own.concat());
}

#[test]
fn a_root_without_a_path_is_not_the_bundle() {
    for root in [json!({}), json!({"path": ""}), json!({"readonly": true})] {
        let error = Bundle::shell("true").set("/root", root).run().bad();
        assert!(error.contains("root.path: is missing"), "{error}");
    }
}

#[test]
fn an_absent_oom_score_is_the_callers_and_one_that_is_there_is_set() {
    // Without rights a score goes no lower than it once was: this is mostly, but not everywhere, zero.
    let lowest: i32 = fs::read_to_string("/proc/self/oom_score_adj").unwrap().trim().parse().unwrap();
    let callers = (lowest + 500).min(1000);
    for (score, expected) in [(Value::Null, callers), (json!(lowest), lowest), (json!(1000), 1000)] {
        let bundle = Bundle::shell("cat /proc/self/oom_score_adj").set("/process/oomScoreAdj", score);
        bundle.write();
        let runtime = bundle.runtime(&["run", "--bundle", bundle.directory.to_str().unwrap(), &bundle.id]);
        let mut command = Command::new("/bin/sh");
        let script = format!("echo {callers} > /proc/self/oom_score_adj && exec \"$@\"");
        command.args(["-c", &script, "sh"]).arg(runtime.get_program()).args(runtime.get_args());
        assert_eq!(
            Outcome::of(command.stdin(Stdio::null()).output().unwrap()).good(),
            format!("{expected}\n")
        );
    }
}
