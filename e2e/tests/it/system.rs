//! `version`, `info`, `events`, `login`, and the daemon that starts by itself.

use std::process::Command;

use barge_e2e::{Client, Daemon, Protection, Registry, binary, run, wait_until};

#[test]
fn version_and_info_answer() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        assert!(!daemon.client(client, &["version", "--format", "{{.Server.Version}}"]).text().is_empty());
        assert_eq!(
            daemon.client(client, &["version", "--format", "{{.Server.MinAPIVersion}}"]).text(),
            "1.24"
        );
        assert_eq!(daemon.client(client, &["info", "--format", "{{.Images}} {{.OSType}}"]).text(), "1 linux");
        assert!(daemon.client(client, &["info"]).text().contains("Storage Driver"));
    }
}

#[test]
fn events_tell_the_life_of_a_container() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "--rm", "--name", "box", "busybox", "sh", "-c", "exit 4"]);
    // A duration is sent in whole seconds, by Docker's command line too: this second is not told of yet.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    for client in Client::BOTH {
        let told = daemon
            .client(
                client,
                &[
                    "events",
                    "--since",
                    "1h",
                    "--until",
                    "0s",
                    "--filter",
                    "type=container",
                    "--format",
                    "{{.Action}}",
                ],
            )
            .text();
        assert_eq!(told.lines().collect::<Vec<_>>(), ["create", "attach", "start", "die", "destroy"]);
        let code = daemon
            .client(
                client,
                &[
                    "events",
                    "--since",
                    "1h",
                    "--until",
                    "0s",
                    "--filter",
                    "event=die",
                    "--format",
                    "{{.Actor.Attributes.exitCode}} {{.Actor.Attributes.name}}",
                ],
            )
            .text();
        assert_eq!(code, "4 box");
    }
}

#[test]
fn login_checks_the_password_with_the_registry() {
    let daemon = Daemon::start();
    let registry = Registry::start(Protection::Password);
    for client in Client::BOTH {
        daemon
            .with_input(client, &["login", "-u", "alice", "--password-stdin", &registry.address()], b"wrong")
            .fails(1, "401 Unauthorized");
        let told = daemon
            .with_input(client, &["login", "-u", "alice", "--password-stdin", &registry.address()], b"secret")
            .text();
        assert!(told.contains("Login Succeeded"), "{told}");
    }
}

#[test]
fn the_command_line_starts_a_daemon_that_leaves_when_idle() {
    let directory = tempfile::Builder::new().prefix("be-").tempdir_in("/var/tmp").expect("make a directory");
    let at = |name: &str| directory.path().join(name).to_string_lossy().into_owned();
    let barge = |arguments: &[&str]| {
        let mut command = Command::new(binary());
        // Where the default socket and roots lie is for tests and packagers to move.
        command.env("BARGE_RUN_DIR", at("run")).env("BARGE_DATA_DIR", at("data")).env("BARGE_IDLE_EXIT", "1");
        command.env_remove("DOCKER_HOST").env_remove("BARGE_HOST").env("DOCKER_CONFIG", at("config"));
        run(command.args(arguments), b"")
    };
    assert!(barge(&["run", "--rm", "--network", "none", "barge/hello"]).text().contains("Hello from Barge"));
    let socket = at("run/barge.sock");
    wait_until("the daemon has left", || std::os::unix::net::UnixStream::connect(&socket).is_err());
}

#[test]
fn docker_as_the_name_of_the_binary_works() {
    let daemon = Daemon::start();
    let link = daemon.path("docker");
    std::os::unix::fs::symlink(binary(), &link).expect("link");
    let outcome = run(
        Command::new(link).env("DOCKER_HOST", daemon.host()).args([
            "run",
            "--rm",
            "busybox",
            "echo",
            "as docker",
        ]),
        b"",
    );
    assert_eq!(outcome.text(), "as docker");
}
