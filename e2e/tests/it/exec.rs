//! `exec`: a further process in a running container.

use barge_e2e::{Client, Daemon, wait_until};

#[test]
fn exec_runs_in_the_container_and_returns_the_exit_code() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "box", "-e", "FROM_RUN=1", "busybox", "sleep", "600"]).ok();
    for client in Client::BOTH {
        let outcome = daemon.client(client, &["exec", "box", "sh", "-c", "echo out; echo err >&2; exit 3"]);
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (3, "out\n", "err\n"));
        assert_eq!(daemon.client(client, &["exec", "box", "sh", "-c", "echo $FROM_RUN"]).text(), "1");
        assert_eq!(
            daemon
                .client(
                    client,
                    &[
                        "exec",
                        "-e",
                        "X=y",
                        "-w",
                        "/tmp",
                        "-u",
                        "www-data",
                        "box",
                        "sh",
                        "-c",
                        "echo $X $(pwd) $(id -u)"
                    ]
                )
                .text(),
            "y /tmp 33"
        );
        assert_eq!(daemon.with_input(client, &["exec", "-i", "box", "cat"], b"through").text(), "through");
        // As with Docker, the stream is open already when the program turns out not to be there.
        let missing = daemon.client(client, &["exec", "box", "nothing"]);
        assert_eq!(missing.code, 127);
        assert!(missing.stdout.contains("executable file not found"), "{missing:?}");
        daemon.client(client, &["exec", "box", "/etc"]).fails(126, "");
    }
    assert_eq!(
        daemon
            .docker(&[
                "exec",
                "box",
                "sh",
                "-c",
                "grep -c sleep /proc/1/cmdline; grep CapEff /proc/self/status | awk '{print $2}'"
            ])
            .text(),
        "1\n00000000a80425fb"
    );
}

#[test]
fn exec_needs_a_running_container() {
    let daemon = Daemon::start();
    daemon.docker(&["create", "--name", "box", "busybox", "sleep", "600"]).ok();
    for client in Client::BOTH {
        daemon.client(client, &["exec", "box", "true"]).fails(1, "is not running");
        daemon.client(client, &["exec", "missing", "true"]).fails(1, "No such container: missing");
    }
}

#[test]
fn detached_exec_goes_on_alone() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "600"]).ok();
    for client in Client::BOTH {
        daemon.client(client, &["exec", "-d", "box", "sh", "-c", "sleep 0.2; echo done >>/tmp/mark"]).ok();
    }
    wait_until("both have written", || {
        daemon.docker(&["exec", "box", "cat", "/tmp/mark"]).stdout == "done\ndone\n"
    });
}

#[test]
fn exec_has_a_terminal_when_asked() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "600"]).ok();
    assert_eq!(daemon.docker(&["exec", "-t", "box", "sh", "-c", "tty; echo x"]).text(), "/dev/pts/0\r\nx");
    assert_eq!(daemon.docker(&["exec", "box", "tty"]).stdout, "not a tty\n");
}

#[test]
fn many_execs_at_once() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "box", "busybox", "sleep", "600"]).ok();
    std::thread::scope(|scope| {
        for number in 0..12 {
            let daemon = &daemon;
            scope.spawn(move || {
                let code = number.to_string();
                let outcome =
                    daemon.barge(&["exec", "box", "sh", "-c", &format!("echo {code}; exit {code}")]);
                assert_eq!((outcome.code, outcome.stdout.trim()), (number, code.as_str()));
            });
        }
    });
}
