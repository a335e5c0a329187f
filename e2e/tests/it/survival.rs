//! The daemon may die at any instant; containers, logs and exit codes survive.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use barge_e2e::{Client, Daemon, wait_until};

#[test]
fn a_killed_daemon_loses_nothing() {
    let mut daemon = Daemon::start();
    daemon
        .docker(&[
            "run",
            "-d",
            "--name",
            "lives",
            "-p",
            "127.0.0.1::80",
            "busybox",
            "sh",
            "-c",
            "n=0; while :; do n=$((n+1)); echo tick $n; sleep 0.05; done",
        ])
        .ok();
    daemon
        .docker(&[
            "run",
            "-d",
            "--name",
            "ends",
            "busybox",
            "sh",
            "-c",
            "sleep 1.5; echo last words; exit 23",
        ])
        .ok();
    let pid = daemon.inspect("lives", "{{.State.Pid}}");
    let address = daemon.inspect("lives", "{{.NetworkSettings.IPAddress}}");
    let port = daemon.docker(&["port", "lives", "80"]).text();
    daemon.kill();
    std::thread::sleep(std::time::Duration::from_secs(2));
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists(), "the container lives without a daemon");
    daemon.launch();
    assert_eq!(
        daemon.inspect("lives", "{{.State.Status}} {{.State.Pid}} {{.NetworkSettings.IPAddress}}"),
        format!("running {pid} {address}")
    );
    assert_eq!(daemon.docker(&["port", "lives", "80"]).text(), port);
    wait_until("it has ended", || {
        daemon.inspect("ends", "{{.State.Status}} {{.State.ExitCode}}") == "exited 23"
    });
    assert_eq!(daemon.docker(&["logs", "ends"]).text(), "last words");
    let ticks = daemon.docker(&["logs", "lives"]).text();
    assert!(ticks.lines().count() > 8, "it went on logging: {} lines", ticks.lines().count());
    for (number, line) in ticks.lines().enumerate() {
        assert_eq!(line, format!("tick {}", number + 1), "no line is lost or doubled");
    }
    for client in Client::BOTH {
        assert_eq!(daemon.client(client, &["exec", "lives", "echo", "still here"]).text(), "still here");
    }
    daemon.docker(&["run", "--rm", "busybox", "true"]).ok();
    let other = daemon.docker(&["run", "--rm", "busybox", "hostname", "-i"]).text();
    assert_ne!(other, address, "an address in use is not given again");
    daemon.docker(&["stop", "-t", "0", "lives"]).ok();
    assert_eq!(daemon.inspect("lives", "{{.State.ExitCode}}"), "137");
}

#[test]
fn attach_works_after_the_daemon_was_killed() {
    let mut daemon = Daemon::start();
    daemon
        .docker(&[
            "run",
            "-d",
            "-i",
            "--name",
            "box",
            "busybox",
            "sh",
            "-c",
            "read line; echo got $line; exit 4",
        ])
        .ok();
    daemon.kill();
    daemon.launch();
    let mut attached = daemon
        .command(Client::Docker, &["attach", "box"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("attach");
    // Docker ends an attach whose input ends, so the input stays open until the output is there.
    let mut input = attached.stdin.take().expect("stdin was piped");
    input.write_all(b"hello\n").expect("type");
    let mut output = String::new();
    attached.stdout.take().expect("stdout was piped").read_to_string(&mut output).expect("read");
    assert_eq!((attached.wait().expect("wait").code(), output.as_str()), (Some(4), "got hello\n"));
    drop(input);
}

#[test]
fn an_attached_command_outlasts_the_daemon_and_gets_the_exit_status() {
    let mut daemon = Daemon::start();
    let script = "echo ready; read line; echo got $line; exit 7";
    for (name, flags) in [("kept", &["-i"][..]), ("removed", &["-i", "--rm"][..])] {
        let arguments = [&["run", "--name", name], flags, &["busybox", "sh", "-c", script]].concat();
        let mut running = daemon
            .command(Client::Barge, &arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("run");
        let mut output = BufReader::new(running.stdout.take().expect("stdout was piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("read");
        assert_eq!(line, "ready\n");
        daemon.kill();
        daemon.launch();
        if name == "removed" {
            // The next daemon removes it at its end: whoever wants its status must have asked before.
            // Its streams are one connection, its question is the other; those of passers-by don't last.
            let lasting = || std::iter::repeat_with(|| daemon.connections()).take(20);
            wait_until("the command line is back", || lasting().all(|count| count >= 2));
        }
        let mut input = running.stdin.take().expect("stdin was piped");
        input.write_all(b"words\n").expect("type");
        let mut rest = String::new();
        output.read_to_string(&mut rest).expect("read");
        assert_eq!((running.wait().expect("wait").code(), rest.as_str()), (Some(7), "got words\n"), "{name}");
        drop(input);
    }
}

#[test]
fn a_restart_policy_is_followed_by_the_next_daemon() {
    let mut daemon = Daemon::start();
    daemon
        .docker(&[
            "run",
            "-d",
            "--name",
            "always",
            "--restart",
            "always",
            "busybox",
            "sh",
            "-c",
            "sleep 1; exit 1",
        ])
        .ok();
    daemon.kill();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    daemon.launch();
    wait_until("it was started again", || daemon.inspect("always", "{{.State.Running}}") == "true");
}

#[test]
fn a_container_set_to_be_removed_is_removed_by_the_next_daemon() {
    let mut daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--rm", "--name", "box", "busybox", "sleep", "1"]).ok();
    daemon.kill();
    std::thread::sleep(std::time::Duration::from_millis(1500));
    daemon.launch();
    wait_until("it is gone", || daemon.docker(&["ps", "-aq"]).text().is_empty());
}

#[test]
fn a_polite_end_leaves_containers_running_too() {
    let mut daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "600"]).ok();
    let pid = daemon.inspect("box", "{{.State.Pid}}");
    daemon.stop();
    daemon.launch();
    assert_eq!(daemon.inspect("box", "{{.State.Pid}} {{.State.Running}}"), format!("{pid} true"));
}

#[test]
fn a_second_daemon_on_the_same_root_is_refused() {
    let daemon = Daemon::start();
    let data = daemon.path("data").to_string_lossy().into_owned();
    let outcome = barge_e2e::run(
        std::process::Command::new(barge_e2e::binary())
            .args(["daemon", "--data-root", &data, "--exec-root"])
            .arg(daemon.path("run2"))
            .arg("--pidfile")
            .arg(daemon.path("pid2"))
            .arg("--host")
            .arg(format!("unix://{}", daemon.path("sock2").display())),
        b"",
    );
    assert_ne!(outcome.code, 0);
    assert!(outcome.stderr.contains(&data), "{}", outcome.stderr);
}
