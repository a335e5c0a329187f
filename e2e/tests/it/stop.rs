//! `stop`, `kill`, `restart`, `wait`, `rm`, `top`, `ps`: the end of a container.

use std::time::{Duration, Instant};

use barge_e2e::{Client, Daemon, wait_until};

/// A process that ends with 42 on SIGTERM.
const POLITE: &str = "trap 'exit 42' TERM; echo ready; while :; do sleep 0.05; done";

/// Waits until a container's script has set its traps and says so.
fn wait_until_ready(daemon: &Daemon, container: &str) {
    wait_until("the traps are set", || daemon.docker(&["logs", container]).stdout.contains("ready\n"));
}

#[test]
fn stop_asks_first_and_kills_then() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        daemon.docker(&["run", "-d", "--name", "polite", "busybox", "sh", "-c", POLITE]).ok();
        daemon
            .docker(&[
                "run",
                "-d",
                "--name",
                "deaf",
                "busybox",
                "sh",
                "-c",
                "trap '' TERM; echo ready; while :; do sleep 0.05; done",
            ])
            .ok();
        wait_until_ready(&daemon, "polite");
        wait_until_ready(&daemon, "deaf");
        assert_eq!(daemon.client(client, &["stop", "polite"]).text(), "polite");
        assert_eq!(daemon.inspect("polite", "{{.State.ExitCode}}"), "42");
        let started = Instant::now();
        daemon.client(client, &["stop", "-t", "1", "deaf"]).ok();
        assert!(started.elapsed() >= Duration::from_secs(1));
        assert_eq!(daemon.inspect("deaf", "{{.State.ExitCode}} {{.State.OOMKilled}}"), "137 false");
        daemon.client(client, &["stop", "deaf"]).ok();
        daemon.docker(&["rm", "polite", "deaf"]).ok();
    }
}

#[test]
fn stop_signal_comes_from_the_container() {
    let daemon = Daemon::start();
    daemon
        .docker(&[
            "run",
            "-d",
            "--name",
            "box",
            "--stop-signal",
            "USR1",
            "busybox",
            "sh",
            "-c",
            "trap 'exit 5' USR1; echo ready; while :; do sleep 0.05; done",
        ])
        .ok();
    wait_until_ready(&daemon, "box");
    daemon.barge(&["stop", "box"]).ok();
    assert_eq!(daemon.inspect("box", "{{.State.ExitCode}}"), "5");
}

#[test]
fn kill_sends_any_signal() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        daemon
            .docker(&[
                "run",
                "-d",
                "--name",
                "box",
                "busybox",
                "sh",
                "-c",
                "trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done",
            ])
            .ok();
        wait_until_ready(&daemon, "box");
        daemon.client(client, &["kill", "-s", "HUP", "box"]).ok();
        wait_until("the trap has run", || daemon.docker(&["logs", "box"]).stdout == "ready\nhup\n");
        assert_eq!(daemon.inspect("box", "{{.State.Running}}"), "true");
        daemon.client(client, &["kill", "box"]).ok();
        wait_until("it is dead", || {
            daemon.inspect("box", "{{.State.Status}} {{.State.ExitCode}}") == "exited 137"
        });
        daemon.client(client, &["kill", "box"]).fails(1, "is not running");
        daemon.client(client, &["kill", "-s", "NOPE", "box"]).fails(1, "NOPE");
        daemon.docker(&["rm", "box"]).ok();
    }
}

#[test]
fn restart_gives_a_new_process() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "box", "busybox", "sh", "-c", POLITE]).ok();
    for client in Client::BOTH {
        let before = daemon.inspect("box", "{{.State.Pid}}");
        daemon.client(client, &["restart", "box"]).ok();
        assert_ne!(before, daemon.inspect("box", "{{.State.Pid}}"));
        assert_eq!(daemon.inspect("box", "{{.State.Running}}"), "true");
    }
}

#[test]
fn wait_returns_the_exit_code() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        daemon.docker(&["run", "-d", "--name", "box", "busybox", "sh", "-c", "sleep 0.3; exit 9"]).ok();
        assert_eq!(daemon.client(client, &["wait", "box"]).text(), "9");
        assert_eq!(daemon.client(client, &["wait", "box"]).text(), "9", "also of one that ended before");
        daemon.docker(&["rm", "box"]).ok();
    }
}

#[test]
fn a_running_container_is_removed_only_by_force() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        daemon.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "600"]).ok();
        daemon.client(client, &["rm", "box"]).fails(1, "cannot remove container");
        assert_eq!(daemon.client(client, &["rm", "-f", "box"]).text(), "box");
        daemon.client(client, &["rm", "box"]).fails(1, "No such container: box");
    }
}

#[test]
fn top_and_ps_show_what_runs() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "600"]).ok();
    daemon.docker(&["run", "--name", "gone", "busybox", "true"]).ok();
    for client in Client::BOTH {
        let top = daemon.client(client, &["top", "box"]).text();
        assert!(top.starts_with("UID") && top.contains("sleep 600"), "{top}");
        let ps = daemon.client(client, &["ps"]).text();
        assert!(
            ps.starts_with("CONTAINER ID   IMAGE") && ps.contains("\"sleep 600\"") && !ps.contains("gone"),
            "{ps}"
        );
        let all = daemon.client(client, &["ps", "-a", "--format", "{{.Names}} {{.State}}"]).text();
        assert_eq!(all, "gone exited\nbox running");
        assert_eq!(daemon.client(client, &["ps", "-q", "--filter", "name=box"]).text().len(), 12);
        assert_eq!(
            daemon
                .client(client, &["ps", "-a", "--filter", "status=exited", "--format", "{{.Names}}"])
                .text(),
            "gone"
        );
    }
}

#[test]
fn pause_freezes_and_unpause_thaws() {
    let daemon = Daemon::start();
    daemon
        .docker(&[
            "run",
            "-d",
            "--name",
            "box",
            "busybox",
            "sh",
            "-c",
            "while :; do echo tick; sleep 0.02; done",
        ])
        .ok();
    for client in Client::BOTH {
        daemon.client(client, &["pause", "box"]).ok();
        assert_eq!(daemon.inspect("box", "{{.State.Status}}"), "paused");
        // What was written before may still be on its way into the log.
        let length = || daemon.docker(&["logs", "box"]).stdout.len();
        let mut before = 0;
        wait_until("it stands still", || {
            before = length();
            std::thread::sleep(Duration::from_millis(300));
            length() == before
        });
        daemon.client(client, &["unpause", "box"]).ok();
        wait_until("it ticks again", || length() > before);
    }
}
