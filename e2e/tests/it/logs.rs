//! `logs` and the log files.

use barge_e2e::{Client, Daemon, wait_until};

#[test]
fn logs_are_kept_by_stream_with_tail_and_times() {
    let daemon = Daemon::start();
    daemon.docker(&[
        "run",
        "--name",
        "box",
        "busybox",
        "sh",
        "-c",
        "for n in 1 2 3 4 5; do echo line $n; done; echo oops >&2",
    ]);
    for client in Client::BOTH {
        let all = daemon.client(client, &["logs", "box"]);
        assert_eq!(
            (all.stdout.as_str(), all.stderr.as_str()),
            ("line 1\nline 2\nline 3\nline 4\nline 5\n", "oops\n")
        );
        assert_eq!(daemon.client(client, &["logs", "--tail", "2", "box"]).stdout, "line 5\n");
        assert_eq!(daemon.client(client, &["logs", "--tail", "0", "box"]).stdout, "");
        let stamped = daemon.client(client, &["logs", "-t", "box"]).stdout;
        assert!(
            stamped
                .lines()
                .all(|line| line.len() > 31 && line.as_bytes()[4] == b'-' && line.contains("Z line ")),
            "{stamped}"
        );
        assert_eq!(daemon.client(client, &["logs", "--since", "2100-01-01T00:00:00Z", "box"]).stdout, "");
        assert_eq!(daemon.client(client, &["logs", "--until", "2001-01-01T00:00:00Z", "box"]).stdout, "");
        daemon.client(client, &["logs", "missing"]).fails(1, "No such container: missing");
    }
}

#[test]
fn the_log_file_is_where_and_as_docker_writes_it() {
    let daemon = Daemon::start();
    daemon
        .docker(&["run", "--name", "box", "busybox", "sh", "-c", "printf 'a<b\\n'; printf 'no newline'"])
        .ok();
    let id = daemon.inspect("box", "{{.Id}}");
    let path = daemon.inspect("box", "{{.LogPath}}");
    assert_eq!(path, daemon.path("data").join(format!("containers/{id}/{id}-json.log")).to_string_lossy());
    let text = std::fs::read_to_string(path).expect("read the log");
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with(r#"{"log":"a\u003cb\n","stream":"stdout","time":"20"#), "{text}");
    assert!(lines[1].starts_with(r#"{"log":"no newline","stream":"stdout","time":"20"#), "{text}");
}

#[test]
fn following_ends_with_the_container() {
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
                "for n in 1 2 3; do echo $n; sleep 0.2; done",
            ])
            .ok();
        assert_eq!(daemon.client(client, &["logs", "-f", "box"]).stdout, "1\n2\n3\n");
        daemon.docker(&["rm", "-f", "box"]).ok();
    }
}

#[test]
fn rotation_keeps_only_what_was_asked_for() {
    let daemon = Daemon::start();
    daemon
        .docker(&[
            "run",
            "--name",
            "box",
            "--log-opt",
            "max-size=10k",
            "--log-opt",
            "max-file=3",
            "busybox",
            "sh",
            "-c",
            "seq 1 2000",
        ])
        .ok();
    let directory = daemon.path("data").join("containers").join(daemon.inspect("box", "{{.Id}}"));
    let files = std::fs::read_dir(directory)
        .expect("list the directory")
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().contains("-json.log"))
        .inspect(|entry| assert!(entry.metadata().expect("metadata").len() < 12_000))
        .count();
    assert_eq!(files, 3);
    let kept = daemon.docker(&["logs", "box"]).stdout;
    assert!(kept.ends_with("1999\n2000\n") && kept.lines().count() > 200, "{} lines", kept.lines().count());
    assert_eq!(
        daemon.docker(&["logs", "--tail", "300", "box"]).stdout.lines().count(),
        300,
        "tail reaches into older files"
    );
}

#[test]
fn many_lines_all_arrive_in_order() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        let outcome = daemon.client(client, &["run", "--name", "box", "busybox", "seq", "1", "100000"]);
        let wanted: String = (1..=100_000).map(|number| format!("{number}\n")).collect();
        assert!(outcome.stdout == wanted, "attached output differs ({} bytes)", outcome.stdout.len());
        assert!(daemon.client(client, &["logs", "box"]).stdout == wanted, "logs differ");
        daemon.docker(&["rm", "box"]).ok();
    }
}

#[test]
fn driver_none_keeps_no_log() {
    let daemon = Daemon::start();
    assert_eq!(
        daemon.docker(&["run", "--name", "box", "--log-driver", "none", "busybox", "echo", "x"]).text(),
        "x"
    );
    daemon.docker(&["logs", "box"]).fails(1, "configured logging driver does not support reading");
    wait_until("inspect works", || daemon.inspect("box", "{{.HostConfig.LogConfig.Type}}") == "none");
}
