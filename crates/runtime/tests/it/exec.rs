//! More processes in a running container.

use serde_json::json;

use crate::bundle::Bundle;

#[test]
fn a_process_joins_everything_of_the_container() {
    let bundle = Bundle::shell("sleep 100").set("/linux/resources/pids", json!({"limit": 50}));
    bundle.start();
    let text = bundle
        .exec(&["sh", "-c", "hostname; ls /proc/1/exe > /dev/null && readlink /proc/1/exe; cat /proc/self/cgroup | grep -c barge-it; echo $$"])
        .good();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["inside", "/bin/busybox"], "{text}");
    assert_ne!(lines[2], "0");
    assert_ne!(lines[3], "1");
    let mine =
        bundle.exec(&["sh", "-c", "for n in mnt net ipc uts pid cgroup; do readlink /proc/self/ns/$n; done"]);
    let inits =
        bundle.exec(&["sh", "-c", "for n in mnt net ipc uts pid cgroup; do readlink /proc/1/ns/$n; done"]);
    assert_eq!(mine.good(), inits.good());
}

#[test]
fn it_has_its_own_user_directory_and_environment() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    let run = |flags: &[&str], script: &str| {
        let all: Vec<&str> =
            ["exec"].iter().chain(flags).chain(&[bundle.id.as_str(), "sh", "-c", script]).copied().collect();
        bundle.command(&all)
    };
    assert_eq!(run(&["--user", "app"], "id -u; id -G; echo $HOME").good(), "1000\n1001 2002\n/home/app\n");
    assert_eq!(run(&["--cwd", "/tmp", "--env", "A=1"], "pwd; echo $A").good(), "/tmp\n1\n");
    assert!(run(&["--user", "ghost"], "true").bad().contains("unable to find user ghost"));
    assert_eq!(run(&[], "exit 42").code, 42);
    assert_eq!(run(&[], "kill -9 $$").code, 137);
}

#[test]
fn failures_are_told_like_those_of_init() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    for (program, words) in [
        ("nope", r#"exec: "nope": executable file not found in $PATH"#),
        ("/etc", r#"exec: "/etc": is a directory"#),
    ] {
        assert!(bundle.exec(&[program]).bad().contains(words));
    }
}

#[test]
fn rights_and_seccomp_hold_for_it_too() {
    let bundle = Bundle::shell("sleep 100").set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW",
               "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}),
    );
    bundle.start();
    let text = bundle.exec(&[
        "sh",
        "-c",
        "mkdir /tmp/x || echo refused; grep -E '^(CapEff|Seccomp:)' /proc/self/status",
    ]);
    assert_eq!(text.good(), "refused\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n");
}

#[test]
fn more_rights_groups_and_descriptors_are_given_when_asked_for() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    let run = |flags: &[&str], script: &str| {
        let all: Vec<&str> =
            ["exec"].iter().chain(flags).chain(&[bundle.id.as_str(), "sh", "-c", script]).copied().collect();
        bundle.command(&all)
    };
    let rights = "grep -E '^Cap(Eff|Bnd|Amb):' /proc/self/status | cut -f2";
    let plain = run(&[], rights).good();
    assert_eq!(plain, "00000000a80425fb\n00000000a80425fb\n0000000000000000\n");
    let more = run(&["--cap", "CAP_NET_ADMIN", "--cap", "sys_time"], rights).good();
    assert_eq!(more, "00000000aa0435fb\n00000000aa0435fb\n0000000000000000\n");
    let unknown = run(&["--cap", "CAP_FLY", "--cap", "CAP_NET_ADMIN", "--cap", "CAP_SYS_TIME"], rights);
    assert!(
        unknown.stderr.contains("ignoring unknown or unavailable capabilities: [CAP_FLY]"),
        "{unknown:?}"
    );
    assert_eq!(unknown.good(), more);
    assert_eq!(run(&["-g", "77", "--additional-gids", "78"], "id -G").good(), "0 77 78\n");
}

#[test]
fn a_cgroup_below_the_containers_can_be_asked_for() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    let top = bundle.cgroup("pids");
    std::fs::create_dir(top.join("inner")).unwrap();
    let show = |cgroup: &str| {
        let script = "cat /proc/self/cgroup | grep -E '(pids|^0:).*inner' | wc -l";
        bundle.command(&["exec", "--cgroup", cgroup, &bundle.id, "sh", "-c", script])
    };
    let unified = std::path::Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    if unified {
        assert_eq!(show("/inner").good(), "1\n");
        assert!(show("pids:inner").bad().contains("cgroup v2"));
    } else {
        assert_eq!(show("pids:inner").good(), "1\n");
        assert!(show("nope:inner").bad().contains("nope"));
        assert!(show("nope:/").bad().contains("nope"));
        assert_eq!(show("pids,memory:/").good(), "0\n");
    }
    assert_eq!(show("/").good(), "0\n");
    assert!(show("../..").bad().contains("cgroup"));
    assert!(show("missing").bad().contains("missing"));
}

#[test]
fn a_stopped_container_takes_none() {
    let bundle = Bundle::shell("true");
    bundle.run().good();
    assert!(bundle.exec(&["true"]).bad().contains("container does not exist"));
}

#[test]
fn many_can_be_added_at_once() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    let work = |number: usize| {
        let script = format!("echo {number}; exit {}", number % 7);
        let outcome = bundle.exec(&["sh", "-c", &script]);
        assert_eq!((outcome.code, outcome.stdout), ((number % 7) as i32, format!("{number}\n")));
    };
    std::thread::scope(|scope| {
        for first in 0..8 {
            scope.spawn(move || (0..8).for_each(|step| work(first * 8 + step)));
        }
    });
}

#[test]
fn the_end_of_the_container_ends_what_is_being_added() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let outcome = bundle.exec(&["sleep", "0.01"]);
                    match outcome.code {
                        0 => continue,
                        // The kernel killed it with the rest of its pid namespace.
                        137 => {}
                        code => assert_eq!(code, 255, "{outcome:?}"),
                    }
                    if outcome.stderr.contains("cannot exec in a stopped container") {
                        return;
                    }
                }
            });
        }
        bundle.exec(&["true"]).good();
        bundle.command(&["kill", &bundle.id, "KILL"]).good();
    });
    bundle.command(&["delete", &bundle.id]).good();
    assert!(!bundle.cgroup("pids").exists());
}

#[test]
fn a_paused_container_takes_one_only_when_that_is_meant() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    bundle.command(&["pause", &bundle.id]).good();
    let refused = bundle.exec(&["true"]);
    assert_eq!(refused.code, 255);
    assert!(refused.stderr.contains("cannot exec in a paused container (use --ignore-paused to override)"));
    std::thread::scope(|scope| {
        let added =
            scope.spawn(|| bundle.command(&["exec", "--ignore-paused", &bundle.id, "echo", "went on"]));
        bundle.command(&["resume", &bundle.id]).good();
        assert_eq!(added.join().unwrap().good(), "went on\n");
    });
}

#[test]
fn a_detached_one_with_a_terminal_hands_it_over() {
    use std::io::Read;
    use std::os::unix::net::UnixListener;
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    let path = bundle.directory.join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let mut command = bundle.runtime(&["exec", "--tty", "--detach", "--console-socket"]);
    command.arg(&path).args([&bundle.id, "sh", "-c", "tty; echo typed; exit 0"]);
    let mut child = command.spawn().unwrap();
    let mut master = std::fs::File::from(crate::terminal::receive(&listener));
    assert!(child.wait().unwrap().success());
    let mut text = Vec::new();
    // The end of a terminal without users is an error of reading.
    let _ = master.read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    assert!(text.contains("/dev/pts/") && text.contains("typed"), "{text}");
}

#[test]
fn a_file_describes_all_of_a_process() {
    let bundle = Bundle::shell("sleep 100")
        .set("/process/user/umask", json!(0o77))
        .set("/process/oomScoreAdj", json!(300));
    bundle.start();
    let file = bundle.directory.join("process.json");
    let describe = |process: serde_json::Value| std::fs::write(&file, process.to_string()).unwrap();
    let script = "umask; cat /proc/self/oom_score_adj; id -u; pwd; echo $A; grep CapEff /proc/self/status";
    let process = json!({"args": ["sh", "-c", script], "cwd": "/tmp", "env": ["PATH=/bin", "A=file"]});
    describe(process.clone());
    let run =
        |flags: &[&str]| bundle.exec_with(&[&["--process", file.to_str().unwrap()], flags].concat()).good();
    // What it leaves open is root, and what the container's own process may do.
    let expected = "0077\n300\n0\n/tmp\nfile\nCapEff:\t00000000a80425fb\n";
    assert_eq!(run(&[]), expected);
    // The flags that describe a process are for those without a file.
    assert_eq!(run(&["--user", "app", "--cwd", "/", "--env", "A=flag", "--cap", "CAP_NET_ADMIN"]), expected);
    let rights = json!({"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]});
    let mut process = process;
    process["capabilities"] = rights;
    process["user"] = json!({"uid": 0, "gid": 0});
    describe(process);
    assert!(run(&[]).ends_with("CapEff:\t0000000000000020\n"));
    describe(json!({"args": ["true"], "user": {"uid": 0, "gid": 0}}));
    assert!(bundle.exec_with(&["-p", file.to_str().unwrap()]).bad().contains("cwd"));
}

#[test]
fn a_container_that_waits_for_its_start_can_be_paused() {
    let bundle = Bundle::shell("sleep 100");
    bundle.write();
    let directory = bundle.directory.to_str().unwrap();
    let mut create = bundle.runtime(&["create", "--bundle", directory, &bundle.id]);
    create.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    assert!(create.status().unwrap().success());
    let command = |verb: &str| bundle.command(&[verb, &bundle.id]);
    command("pause").good();
    assert!(command("state").good().contains(r#""status": "paused""#));
    assert!(bundle.exec(&["true"]).bad().contains("cannot exec in a paused container"));
    command("resume").good();
    assert!(command("state").good().contains(r#""status": "created""#));
    assert_eq!(bundle.exec(&["echo", "up"]).good(), "up\n");
    command("start").good();
    assert!(command("state").good().contains(r#""status": "running""#));
}
