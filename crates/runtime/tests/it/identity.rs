//! Who a container's process is and what it may do.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn users_come_from_the_containers_own_files() {
    let script = "id -u; id -g; id -G; echo $HOME";
    let cases = [
        ("app", "1000\n1001\n1001 2002\n/home/app\n"),
        ("1000", "1000\n1001\n1001 2002\n/home/app\n"),
        ("app:extra", "1000\n2002\n2002\n/home/app\n"),
        ("4711", "4711\n0\n0\n/\n"),
        ("4711:4712", "4711\n4712\n4712\n/\n"),
        ("", "0\n0\n0\n/root\n"),
    ];
    for (user, expected) in cases {
        assert_eq!(Bundle::shell(script).drive(json!({"user": user})).good(), expected, "{user}");
    }
    let numbers = Bundle::shell(script)
        .set("/process/user", json!({"uid": 1000, "gid": 7, "additionalGids": [8, 9], "umask": 0o77}));
    assert_eq!(numbers.run().good(), "1000\n7\n7 8 9\n/home/app\n");
}

#[test]
fn a_named_user_has_capabilities_only_in_the_bound() {
    let script = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status";
    let bundle = Bundle::shell(script);
    let root = bundle.drive(json!({})).good();
    let words: Vec<&str> = root.split_whitespace().collect();
    let default = "00000000a80425fb";
    assert_eq!(
        words,
        [
            "CapInh:",
            "0000000000000000",
            "CapPrm:",
            default,
            "CapEff:",
            default,
            "CapBnd:",
            default,
            "CapAmb:",
            "0000000000000000"
        ]
    );
    let app = bundle.drive(json!({"user": "app"})).good();
    let words: Vec<&str> = app.split_whitespace().collect();
    let none = "0000000000000000";
    assert_eq!(
        words,
        ["CapInh:", none, "CapPrm:", none, "CapEff:", none, "CapBnd:", default, "CapAmb:", none]
    );
}

#[test]
fn who_is_given_no_capabilities_has_none() {
    let read = "grep -E '^Cap(Inh|Prm|Eff|Bnd|Amb)' /proc/self/status | grep -v 0000000000000000; true";
    for absent in [json!(null), json!({})] {
        let bundle = Bundle::shell(&format!("{read}; sleep 1000")).set("/process/capabilities", absent);
        bundle.start();
        assert_eq!(bundle.exec(&["sh", "-c", read]).good(), "");
        assert_eq!(bundle.output(), "");
    }
}

#[test]
fn ambient_capabilities_survive_a_user() {
    let set = json!(["CAP_NET_BIND_SERVICE"]);
    let bundle = Bundle::shell("grep -E '^Cap(Eff|Amb)' /proc/self/status")
        .set("/process/user", json!({"uid": 1000, "gid": 1000}))
        .set(
            "/process/capabilities",
            json!({"bounding": set, "effective": set, "permitted": set, "inheritable": set, "ambient": set}),
        );
    assert_eq!(bundle.run().good(), "CapEff:\t0000000000000400\nCapAmb:\t0000000000000400\n");
}

#[test]
fn no_new_privileges_is_set_when_asked_for() {
    for (asked, expected) in [(true, "NoNewPrivs:\t1\n"), (false, "NoNewPrivs:\t0\n")] {
        let bundle =
            Bundle::shell("grep NoNewPrivs /proc/self/status").set("/process/noNewPrivileges", json!(asked));
        assert_eq!(bundle.run().good(), expected);
    }
}

#[test]
fn the_directory_is_made_and_entered() {
    let bundle = Bundle::shell("pwd; stat -c %u:%a .").set("/process/cwd", json!("/made/for/this"));
    assert_eq!(bundle.drive(json!({"user": "app"})).good(), "/made/for/this\n0:755\n");
}

/// Root in a container without CAP_DAC_OVERRIDE is as good as a user; the user's own directory is entered as the user.
#[test]
fn a_directory_that_only_the_user_may_enter_is_entered() {
    let bundle = Bundle::shell("pwd").set("/process/cwd", json!("/home/app"));
    let home = bundle.rootfs().join("home/app");
    std::os::unix::fs::chown(&home, Some(1000), Some(1001)).unwrap();
    std::fs::set_permissions(&home, PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(bundle.drive(json!({"user": "app"})).good(), "/home/app\n");
}

#[test]
fn streams_belong_to_the_user() {
    let bundle = Bundle::shell("echo again > /dev/stdout && echo error > /proc/self/fd/2");
    let outcome = bundle.drive(json!({"user": "app"}));
    assert_eq!((outcome.stdout.as_str(), outcome.stderr.as_str()), ("again\n", "error\n"));
}

#[test]
fn limits_hold_or_are_clamped_with_a_warning() {
    let bundle = Bundle::shell("grep -E 'open files|core file' /proc/self/limits").set(
        "/process/rlimits",
        json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]),
    );
    let text = bundle.drive(json!({})).good();
    let words: Vec<&str> =
        text.split_whitespace().filter(|w| w.bytes().all(|b| b.is_ascii_digit())).collect();
    assert_eq!(words, ["0", "0", "100", "200"]);

    let bundle = Bundle::shell("true")
        .set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "soft": 1u64 << 40, "hard": 1u64 << 40}]));
    let outcome = bundle.drive(json!({}));
    // Above fs.nr_open nobody may go, not even with CAP_SYS_RESOURCE.
    assert!(outcome.code == 0 && outcome.stderr.contains("RLIMIT_NOFILE"), "{outcome:?}");
}

#[test]
fn an_unreachable_oom_score_is_a_warning() {
    let bundle = Bundle::shell("cat /proc/self/oom_score_adj").set("/process/oomScoreAdj", json!(500));
    assert_eq!(bundle.drive(json!({})).good(), "500\n");
    let bundle = Bundle::shell("true").set("/process/oomScoreAdj", json!(-999));
    assert_eq!(bundle.drive(json!({})).code, 0);
}

#[test]
fn the_environment_is_what_was_given() {
    let bundle = Bundle::shell("env | grep -v -E '^(SHLVL|PWD)=' | sort")
        .set("/process/env", json!(["PATH=/bin", "A=1", "B=x y", "A=2", "HOME="]));
    assert_eq!(bundle.drive(json!({"user": "app"})).good(), "A=2\nB=x y\nHOME=/home/app\nPATH=/bin\n");
}

#[test]
fn the_umask_is_set_last() {
    for (asked, expected) in [(None, "0022\n"), (Some(0o27), "0027\n")] {
        let mut bundle = Bundle::shell("umask; stat -c %a /dev/null");
        if let Some(mask) = asked {
            bundle = bundle.set("/process/user/umask", json!(mask));
        }
        assert_eq!(bundle.run().good(), format!("{expected}666\n"));
    }
}

#[test]
fn nobody_is_in_a_users_file_that_is_hidden() {
    let script = "echo $HOME";
    for file in ["passwd", "group"] {
        let hidden = format!("/etc/{file}");
        let bundle = Bundle::shell(script).bind(std::path::Path::new("/dev/null"), &hidden, &["ro"]);
        let expected = if file == "passwd" { "/\n" } else { "/root\n" };
        assert_eq!(bundle.run().good(), expected, "{file}");
    }
    let bundle = Bundle::shell(script).set("/linux/maskedPaths", json!(["/etc/passwd"]));
    assert_eq!(bundle.run().good(), "/\n");
    assert!(bundle.drive(json!({"user": "app"})).bad().contains("app"));
}
