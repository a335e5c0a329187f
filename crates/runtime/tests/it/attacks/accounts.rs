//! Who a process is: hostile account files, rights and groups of the caller, his keys and his terminal.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{prepared, run_bounded};
use crate::bundle::{Bundle, Outcome, program};

#[test]
fn hostile_account_files_are_errors_not_hangs() {
    for make in ["mkfifo", "mkdir"] {
        let bundle = Bundle::shell("id -u");
        let passwd = bundle.rootfs().join("etc/passwd");
        fs::remove_file(&passwd).unwrap();
        assert!(Command::new(make).arg(&passwd).status().unwrap().success());
        let error = bundle.drive(json!({"user": "app"})).bad();
        assert!(error.contains("/etc/passwd"), "{make}: {error}");
    }
    // A link to the host's file leads to the container's own, which is not there.
    let bundle = Bundle::shell("id -u");
    fs::remove_file(bundle.rootfs().join("etc/passwd")).unwrap();
    symlink("../../../../../../../../etc/shadow-", bundle.rootfs().join("etc/passwd")).unwrap();
    let error = bundle.drive(json!({"user": "app"})).bad();
    assert!(error.contains("unable to find user app"), "{error}");
}

/// CVE-2016-3697: a number is an id, whoever calls himself by it.
#[test]
fn a_number_is_never_a_name() {
    let bundle = Bundle::shell("sleep 100");
    let passwd = "root:x:0:0::/root:\n1000:x:0:0::/:\napp:x:1000:1001::/:\nfree:x:4294967295:0::/:\nlost:x:5:4294967295::/:\n";
    fs::write(bundle.rootfs().join("etc/passwd"), passwd).unwrap();
    fs::write(bundle.rootfs().join("etc/group"), "1000:x:0:\n").unwrap();
    bundle.start();
    let exec = |user: &str| bundle.command(&["exec", "--user", user, &bundle.id, "sh", "-c", "id -u; id -g"]);
    assert_eq!(exec("1000").good(), "1000\n1001\n");
    assert_eq!(exec("1000:1000").good(), "1000\n1000\n");
    // To the kernel the largest number means "stay who you are", which is root.
    for (user, words) in [
        ("free", "unable to find user"),
        ("lost", "unable to find user"),
        ("-1", "unable to find user"),
        ("4294967295", "must be in range"),
        ("0:4294967295", "must be in range"),
    ] {
        let error = exec(user).bad();
        assert!(error.contains(words), "{user}: {error}");
    }
    for field in ["uid", "gid"] {
        let bundle = Bundle::shell("id").set(&format!("/process/user/{field}"), json!(u32::MAX));
        assert!(bundle.run().bad().contains("is no id"));
    }
}

#[test]
fn absurd_account_files_cost_little() {
    let long = "x".repeat(9 << 20);
    let files: [(&str, Vec<u8>); 4] = [
        ("one long line", long.clone().into_bytes()),
        ("a long name", format!("{long}:x:1:1::/:\napp:x:1000:1001::/:\n").into_bytes()),
        ("noise", (0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()),
        ("many lines", "u:x:1:1::/:\n".repeat(500_000).into_bytes()),
    ];
    for (what, text) in files {
        let bundle = Bundle::shell("id -u");
        fs::write(bundle.rootfs().join("etc/passwd"), &text).unwrap();
        fs::write(bundle.rootfs().join("etc/group"), &text).unwrap();
        let begin = Instant::now();
        let outcome = run_bounded(&bundle);
        assert_eq!(outcome.stdout, "0\n", "{what}: {}", outcome.stderr);
        assert!(begin.elapsed() < Duration::from_secs(30), "{what}");
        assert_eq!(bundle.drive(json!({"user": "app"})).code, 125, "{what}");
    }
}

/// Devices, pipes and what the runtime itself has open are not read as account files.
#[test]
fn account_files_are_files_of_the_container() {
    for target in ["/dev/zero", "/dev/tty", "/proc/self/fd/0", "/proc/self/fd/8", "/proc/1/fd/0"] {
        for file in ["etc/passwd", "etc/group"] {
            let bundle = Bundle::shell("sleep 100");
            bundle.start();
            let path = bundle.rootfs().join(file);
            fs::remove_file(&path).unwrap();
            symlink(target, &path).unwrap();
            let args = ["exec", "--user", "app", &bundle.id, "true"];
            let outcome = Outcome::of(prepared(&bundle, &[], "exec </etc/passwd", &args).output().unwrap());
            let refused = outcome.stderr.contains("/etc/passwd")
                || outcome.stderr.contains("/etc/group")
                || outcome.stderr.contains("unable to find user");
            assert!(outcome.code == 255 && refused, "{file} -> {target}: {outcome:?}");
        }
    }
}

/// CVE-2022-29162 and CVE-2022-24769: nothing is inheritable unless that is asked for, whatever the caller has. And
/// the caller's groups are not the container's.
/// Whether the host has no such program, which is said. The guest's userland is busybox alone.
fn lacks(program: &str, probe: &[&str]) -> bool {
    let mut command = Command::new(program);
    let lacks =
        !command.args(probe).stdin(Stdio::null()).output().is_ok_and(|output| output.status.success());
    if lacks {
        let _ = writeln!(std::io::stderr(), "skipped: needs {program} of util-linux");
    }
    lacks
}

#[test]
fn the_callers_groups_and_inheritable_capabilities_stay_outside() {
    if lacks("setpriv", &["--groups", "0", "--inh-caps", "-all", "true"]) {
        return;
    }
    let show = "id -G; grep CapInh /proc/self/status; grep CapAmb /proc/self/status";
    let expected = "0\nCapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n";
    let caller = ["setpriv", "--groups", "4,27,100", "--inh-caps", "+chown,+net_raw"];
    let bundle = Bundle::shell(show);
    bundle.write();
    let place = bundle.directory.to_str().unwrap().to_owned();
    let run = |args: &[&str]| Outcome::of(prepared(&bundle, &caller, "true", args).output().unwrap()).good();
    assert_eq!(run(&["run", "-b", &place, &bundle.id]), expected);
    // Nor where they have no number: they would still open what they are good for.
    let one = |id: u32| json!({"containerID": id, "hostID": id, "size": 1});
    let map = json!([one(0), one(5)]);
    let mut bundle = bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map);
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    bundle.write();
    let run = |args: &[&str]| Outcome::of(prepared(&bundle, &caller, "true", args).output().unwrap()).good();
    assert_eq!(run(&["run", "-b", &place, &bundle.id]), expected);
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    let run = |args: &[&str]| Outcome::of(prepared(&bundle, &caller, "true", args).output().unwrap()).good();
    assert_eq!(run(&["exec", &bundle.id, "sh", "-c", show]), expected);
    assert_eq!(
        run(&["exec", "--cap", "CAP_NET_RAW", "--cap", "CAP_SYS_ADMIN", &bundle.id, "sh", "-c", show]),
        expected
    );
}

/// A process that says nothing of its rights has those of the container, not those of the runtime.
#[test]
fn an_added_process_without_rights_of_its_own_has_the_containers() {
    let bundle = Bundle::shell("sleep 100")
        .set("/process/noNewPrivileges", json!(true))
        .set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 11, "hard": 12}]));
    bundle.start();
    let script = "grep -E '^(Cap(Prm|Eff|Bnd)|NoNewPrivs)' /proc/self/status; ulimit -c";
    let file = bundle.directory.join("process.json");
    let process =
        json!({"cwd": "/", "args": ["sh", "-c", script], "env": ["PATH=/bin"], "user": {"uid": 0, "gid": 0}});
    fs::write(&file, process.to_string()).unwrap();
    let text = bundle.command(&["exec", "--process", file.to_str().unwrap(), &bundle.id]).good();
    let own = bundle.exec(&["sh", "-c", script]).good();
    assert_eq!(text, own);
    assert!(text.contains("CapBnd:\t00000000a80425fb\nNoNewPrivs:\t1"), "{text}");
}

#[test]
fn the_callers_keys_are_not_in_the_container() {
    // Of this thread, and of the commands that it starts.
    barge_sys::process::join_new_session_keyring().unwrap();
    let own = format!("{}\n", barge_sys::process::session_keyring().unwrap());
    let look = |bundle: Bundle| bundle.bind(&program(), "/look", &["ro"]);
    let place = |bundle: &Bundle| fs::write(bundle.rootfs().join("look"), "").unwrap();
    let bundle = look(Bundle::new(&["/look", "keyring"]));
    place(&bundle);
    let init = bundle.run().good();
    let bundle = look(Bundle::shell("sleep 100"));
    place(&bundle);
    bundle.start();
    let added = bundle.exec(&["/look", "keyring"]).good();
    assert!(init != own && added != own && init != added, "{own}{init}{added}");
}

/// Only a process whose own terminal it is may put words into it (`TIOCSTI`).
#[test]
fn the_callers_terminal_is_not_the_containers() {
    if lacks("script", &["-qec", "true", "/dev/null"]) {
        return;
    }
    let probe = "echo terminal $(cut -d' ' -f7 /proc/self/stat); [ -t 0 ] && echo has one as a stream; \
                 (echo x > /dev/tty) 2>&1; busybox setsid -c sh -c 'echo stolen > /dev/tty' 2>&1; echo end";
    let bundle = Bundle::shell(probe);
    bundle.write();
    let line =
        |args: &str| format!("{} --root {}/state {args}", program().display(), bundle.directory.display());
    let on_a_terminal = |line: &str| {
        let mut command = Command::new("timeout");
        command.args(["-s", "KILL", "60", "script", "-qec", line, "/dev/null"]);
        Outcome::of(command.output().unwrap()).stdout.replace('\r', "")
    };
    let init = on_a_terminal(&line(&format!("run -b {} {}", bundle.directory.display(), bundle.id)));
    let bundle_line = line(&format!("exec {} sh -c \"{}\"", bundle.id, probe.replace('$', "\\$")));
    let bundle = bundle.set("/process/args", json!(["sleep", "100"]));
    bundle.start();
    let added = on_a_terminal(&bundle_line);
    for text in [init, added] {
        assert!(text.contains("terminal 0\nhas one as a stream\n") && text.contains("end"), "{text}");
        assert!(!text.lines().any(|line| line == "x" || line == "stolen"), "{text}");
    }
}
