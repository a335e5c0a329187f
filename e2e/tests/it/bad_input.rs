//! Bad input: Docker's words and codes, and nothing left behind.

use barge_e2e::{Client, Daemon};

#[test]
fn invalid_flags_and_values_are_named() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        for (flags, text) in [
            (vec!["-p", "99999:80"], "99999"),
            (vec!["-p", "80:nonsense"], "nonsense"),
            (vec!["-m", "1m"], "Minimum memory limit allowed is 6MB"),
            (vec!["--cpus", "10000"], "CPUs"),
            (vec!["--cpuset-cpus", "4096"], "CPUs are not available"),
            (vec!["--ulimit", "nofile=9:1"], "ulimit"),
            (vec!["--network", "no-such-network"], "network no-such-network not found"),
            (vec!["--network", "container:missing"], "No such container: missing"),
            (vec!["--restart", "sometimes"], "restart policy"),
            (vec!["--rm", "--restart", "always"], "--rm"),
            (vec!["--cap-add", "FLY"], "FLY"),
            (vec!["--security-opt", "unknown=1"], "unknown"),
            (vec!["--log-driver", "paper"], "paper"),
            (vec!["-u", "nobody-here"], "unable to find user nobody-here"),
            (vec!["-v", "/etc:relative"], "relative"),
            (vec!["--mount", "type=teapot,target=/x"], "teapot"),
            (vec!["--runtime", "warp"], "warp"),
            (vec!["-w", "relative"], "relative"),
        ] {
            let mut arguments = vec!["run", "--name", "bad"];
            arguments.extend(flags);
            arguments.extend(["busybox", "true"]);
            daemon.client(client, &arguments).fails(125, text);
            // A container that could be made but not started stays, as with Docker.
            daemon.docker(&["rm", "-f", "bad"]);
        }
    }
    assert_eq!(daemon.docker(&["ps", "-aq"]).text(), "");
}

#[test]
fn unknown_things_are_not_found() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        daemon.client(client, &["start", "missing"]).fails(1, "No such container: missing");
        daemon.client(client, &["port", "missing"]).fails(1, "No such container: missing");
        daemon.client(client, &["rmi", "missing"]).fails(1, "No such image: missing:latest");
        daemon.client(client, &["tag", "missing", "new"]).fails(1, "No such image: missing:latest");
        daemon.client(client, &["volume", "rm", "missing"]).fails(1, "get missing: no such volume");
        daemon.client(client, &["inspect", "missing"]).fails(1, "missing");
        daemon.client(client, &["pull", "UPPER"]).fails(1, "must be lowercase");
        daemon.client(client, &["run", "a::b"]).fails(125, "invalid reference format");
    }
}

#[test]
fn a_start_that_fails_gives_its_network_back() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "first", "-p", "127.0.0.1:0:80", "busybox", "sleep", "600"]).ok();
    let taken = daemon.docker(&["port", "first", "80"]).text();
    let wanted = format!("{taken}:80");
    let before = veths();
    for client in Client::BOTH {
        daemon
            .client(client, &["run", "--name", "second", "-p", &wanted, "busybox", "true"])
            .fails(125, "address already in use");
        daemon.docker(&["rm", "second"]).ok();
        daemon
            .client(client, &["run", "--name", "third", "busybox", "no-such-program"])
            .fails(127, "not found");
        assert_eq!(
            daemon.inspect("third", "{{.State.ExitCode}} {{.State.Status}} .{{.NetworkSettings.IPAddress}}"),
            "127 created ."
        );
        daemon.docker(&["rm", "third"]).ok();
    }
    barge_e2e::wait_until("the links are gone", || veths() <= before);
}

/// How many veth ends this host has; other tests make and drop theirs meanwhile.
fn veths() -> usize {
    std::fs::read_dir("/sys/class/net")
        .expect("list links")
        .flatten()
        .filter(|link| link.file_name().to_string_lossy().starts_with("veth"))
        .count()
}

#[test]
fn raw_requests_are_answered_as_docker_answers() {
    let daemon = Daemon::start();
    let socket = daemon.path("sock").to_string_lossy().into_owned();
    let curl = |arguments: &[&str]| {
        let mut all = vec!["-s", "--unix-socket", &socket, "-w", "\n%{http_code}"];
        all.extend(arguments);
        barge_e2e::run(std::process::Command::new("curl").args(all), b"").text()
    };
    assert_eq!(curl(&["http://d/nonsense"]), "{\"message\":\"page not found\"}\n404");
    assert!(curl(&["http://d/v1.99/info"]).ends_with("\n400"));
    assert!(curl(&["http://d/v1.1/info"]).ends_with("\n400"));
    assert!(
        curl(&[
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            "{",
            "http://d/v1.44/containers/create"
        ])
        .ends_with("\n400")
    );
    assert!(
        curl(&[
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            "{\"Image\":\"gone\"}",
            "http://d/v1.44/containers/create"
        ])
        .contains("No such image: gone:latest")
    );
    assert!(curl(&["-X", "POST", "http://d/v1.44/containers/missing/start"]).ends_with("\n404"));
    let named = |name: &str| {
        curl(&[
            "-X",
            "POST",
            "-H",
            "Content-Type: application/json",
            "-d",
            "{\"Image\":\"busybox\"}",
            &format!("http://d/v1.44/containers/create?name={name}"),
        ])
    };
    assert!(named("one").ends_with("\n201"));
    assert!(named("one").ends_with("\n409"));
    assert!(named("%2Fsl%2Fash").ends_with("\n400"));
}
