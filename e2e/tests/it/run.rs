//! `run`: from the flags to what the process sees, with both command lines.

use barge_e2e::{Client, Daemon};

#[test]
fn run_prints_output_and_returns_the_exit_code() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        let outcome =
            daemon.client(client, &["run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 7"]);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()),
            (7, "out\n", "err\n"),
            "{client:?}"
        );
    }
    assert_eq!(daemon.docker(&["ps", "-aq"]).text(), "", "--rm removes the container");
}

#[test]
fn run_reads_standard_input_to_its_end() {
    let daemon = Daemon::start();
    let input = "some words\n".repeat(50_000);
    for client in Client::BOTH {
        let outcome =
            daemon.with_input(client, &["run", "-i", "--rm", "busybox", "wc", "-c"], input.as_bytes());
        assert_eq!(outcome.text(), input.len().to_string(), "{client:?}");
    }
}

#[test]
fn run_reports_killed_by_signal_as_128_plus_number() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        assert_eq!(
            daemon.client(client, &["run", "--rm", "--init", "busybox", "sh", "-c", "kill -9 $$"]).code,
            137
        );
    }
}

#[test]
fn run_failures_have_their_own_exit_codes_and_leave_nothing() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        daemon
            .client(client, &["run", "--rm", "busybox", "no-such-program"])
            .fails(127, "exec: \"no-such-program\": executable file not found in $PATH");
        daemon
            .client(client, &["run", "--rm", "busybox", "/no/such/file"])
            .fails(127, "no such file or directory");
        daemon.client(client, &["run", "--rm", "busybox", "/etc"]).fails(126, "/etc");
        daemon.client(client, &["run", "--rm", "busybox", "/etc/passwd"]).fails(126, "permission denied");
        daemon
            .client(client, &["run", "--no-such-flag", "busybox"])
            .fails(125, "unknown flag: --no-such-flag");
        daemon.client(client, &["run", "-v", "relative/../x:/y:nonsense", "busybox"]).fails(125, "invalid");
    }
    assert_eq!(daemon.docker(&["ps", "-aq"]).text(), "");
}

#[test]
fn process_sees_what_the_flags_say() {
    let daemon = Daemon::start();
    let file = daemon.path("env");
    std::fs::write(&file, "# a comment\nFROM_FILE=1\nPATH_ALIKE=a=b\n").expect("write the env file");
    let file = file.to_string_lossy().into_owned();
    for client in Client::BOTH {
        let one = |flags: &[&str], script: &str| {
            let mut arguments = vec!["run", "--rm"];
            arguments.extend(flags);
            arguments.extend(["busybox", "sh", "-c", script]);
            daemon.client(client, &arguments).text()
        };
        assert_eq!(one(&["-e", "A=1", "-e", "B=two words"], "echo $A-$B"), "1-two words");
        assert_eq!(one(&["--env-file", &file], "echo $FROM_FILE $PATH_ALIKE"), "1 a=b");
        assert_eq!(one(&["-w", "/not/there/yet"], "pwd"), "/not/there/yet");
        assert_eq!(
            one(&["-h", "voyager"], "hostname; cat /etc/hostname; grep -c voyager /etc/hosts"),
            "voyager\nvoyager\n1"
        );
        assert_eq!(one(&["-u", "www-data"], "id -u; id -g; id -G; echo $HOME"), "33\n33\n33 50\n/var/www");
        assert_eq!(one(&["-u", "1234:50"], "id -u; id -g"), "1234\n50");
        assert_eq!(one(&["--group-add", "staff"], "id -G"), "0 50");
        assert_eq!(
            one(&["--read-only"], "touch /x 2>&1 | grep -o 'Read-only file system'"),
            "Read-only file system"
        );
        assert_eq!(
            one(
                &["--read-only", "--tmpfs", "/t:size=1m"],
                "touch /t/x && df -k /t | tail -n 1 | awk '{print $2}'"
            ),
            "1024"
        );
        assert_eq!(
            one(&["--add-host", "peer:10.1.2.3"], "grep peer /etc/hosts | awk '{print $1}'"),
            "10.1.2.3"
        );
        assert_eq!(
            one(
                &["--dns", "10.9.8.7", "--dns-search", "example.org"],
                "cat /etc/resolv.conf | grep -E '^(nameserver|search)'"
            ),
            "nameserver 10.9.8.7\nsearch example.org"
        );
        assert_eq!(one(&["--ulimit", "nofile=100:200"], "ulimit -Sn; ulimit -Hn"), "100\n200");
        assert_eq!(
            one(
                &["--sysctl", "net.ipv4.ip_unprivileged_port_start=0"],
                "cat /proc/sys/net/ipv4/ip_unprivileged_port_start"
            ),
            "0"
        );
        assert_eq!(one(&["--shm-size", "2m"], "df -k /dev/shm | tail -n 1 | awk '{print $2}'"), "2048");
        assert_eq!(one(&["--init"], "cat /proc/1/comm"), "docker-init");
    }
    assert_eq!(daemon.barge(&["run", "--rm", "--entrypoint", "echo", "busybox", "a", "b"]).text(), "a b");
    assert_eq!(daemon.docker(&["run", "--rm", "--entrypoint", "echo", "busybox", "a", "b"]).text(), "a b");
}

#[test]
fn container_is_confined_by_default_and_privileged_is_not() {
    let daemon = Daemon::start();
    let script = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status | awk '{print $2}'";
    let plain = daemon.docker(&["run", "--rm", "busybox", "sh", "-c", script]).text();
    assert_eq!(plain, "00000000a80425fb\n0\n2", "Docker's default capabilities and a seccomp filter");
    let strict = daemon
        .docker(&[
            "run",
            "--rm",
            "--cap-drop",
            "ALL",
            "--cap-add",
            "NET_ADMIN",
            "--security-opt",
            "no-new-privileges",
            "busybox",
            "sh",
            "-c",
            script,
        ])
        .text();
    assert_eq!(strict, "0000000000001000\n1\n2");
    let open = daemon
        .docker(&["run", "--rm", "--security-opt", "seccomp=unconfined", "busybox", "sh", "-c", script])
        .text();
    assert!(open.ends_with("\n0"), "{open}");
    for (what, script) in [
        ("masked path", "cat /proc/kcore 2>/dev/null | head -c 1 | wc -c"),
        ("masked directory", "ls -A /proc/acpi /sys/firmware 2>/dev/null | grep -vE ':$|^$' | wc -l"),
        ("mount is refused", "mount -t tmpfs x /tmp 2>/dev/null && echo 1 || echo 0"),
        ("sysrq is read-only", "echo h >/proc/sysrq-trigger 2>/dev/null && echo 1 || echo 0"),
        ("foreign processes", "ps | grep -c '[b]arge daemon'"),
        ("raw disks", "ls /dev/vda /dev/sda 2>/dev/null | wc -l"),
        ("new user namespaces", "unshare -U true 2>/dev/null && echo 1 || echo 0"),
    ] {
        let seen = daemon.docker(&["run", "--rm", "busybox", "sh", "-c", script]);
        assert_eq!(seen.stdout.trim(), "0", "{what}");
    }
    let privileged = daemon
        .docker(&[
            "run",
            "--rm",
            "--privileged",
            "busybox",
            "sh",
            "-c",
            "mount -t tmpfs x /tmp && echo mounted; ls /dev | wc -l",
        ])
        .text();
    let mut lines = privileged.lines();
    assert_eq!(lines.next(), Some("mounted"));
    assert!(
        lines.next().and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count > 20),
        "{privileged}"
    );
}

#[test]
fn bind_mounts_are_read_write_or_read_only() {
    let daemon = Daemon::start();
    let directory = daemon.path("shared");
    std::fs::create_dir(&directory).expect("make the directory");
    std::fs::write(directory.join("in"), "from the host").expect("write the file");
    let source = directory.to_string_lossy().into_owned();
    for client in Client::BOTH {
        let bind = format!("{source}:/data");
        let seen = daemon.client(
            client,
            &["run", "--rm", "-v", &bind, "busybox", "sh", "-c", "cat /data/in; echo back >/data/out"],
        );
        assert_eq!(seen.text(), "from the host");
        assert_eq!(std::fs::read_to_string(directory.join("out")).expect("read back"), "back\n");
        let read_only = format!("{source}:/data:ro");
        daemon
            .client(client, &["run", "--rm", "-v", &read_only, "busybox", "touch", "/data/x"])
            .fails(1, "Read-only file system");
        let mount = format!("type=bind,source={source},target=/data,readonly");
        daemon
            .client(client, &["run", "--rm", "--mount", &mount, "busybox", "touch", "/data/x"])
            .fails(1, "Read-only file system");
        let missing = format!("type=bind,source={source}/missing,target=/data");
        daemon
            .client(client, &["run", "--rm", "--mount", &missing, "busybox", "true"])
            .fails(125, "bind source path does not exist");
    }
}

#[test]
fn namespaces_are_private_shared_or_the_hosts() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "first", "busybox", "sleep", "600"]).ok();
    let links = "for name in net pid ipc uts; do readlink /proc/self/ns/$name; done";
    let of_first = daemon.docker(&["exec", "first", "sh", "-c", links]).text();
    let joined = daemon
        .docker(&[
            "run",
            "--rm",
            "--network",
            "container:first",
            "--pid",
            "container:first",
            "--ipc",
            "container:first",
            "busybox",
            "sh",
            "-c",
            links,
        ])
        .text();
    assert_eq!(of_first.lines().take(3).collect::<Vec<_>>(), joined.lines().take(3).collect::<Vec<_>>());
    let host = |name: &str| {
        std::fs::read_link(format!("/proc/self/ns/{name}"))
            .expect("read the link")
            .to_string_lossy()
            .into_owned()
    };
    let hosts = daemon
        .docker(&[
            "run",
            "--rm",
            "--network",
            "host",
            "--uts",
            "host",
            "--ipc",
            "host",
            "--pid",
            "host",
            "busybox",
            "sh",
            "-c",
            links,
        ])
        .text();
    assert_eq!(hosts, [host("net"), host("pid"), host("ipc"), host("uts")].join("\n"));
    assert!(!of_first.contains(&host("net")), "a container has its own network namespace");
}

#[test]
fn names_are_unique_and_can_be_changed() {
    let daemon = Daemon::start();
    daemon.docker(&["run", "-d", "--name", "one", "busybox", "sleep", "600"]).ok();
    for client in Client::BOTH {
        daemon
            .client(client, &["run", "-d", "--name", "one", "busybox", "true"])
            .fails(125, "is already in use by container");
        daemon
            .client(client, &["run", "-d", "--name", "-x", "busybox", "true"])
            .fails(125, "Invalid container name");
    }
    daemon.barge(&["rename", "one", "two"]).ok();
    assert_eq!(daemon.docker(&["ps", "--format", "{{.Names}}"]).text(), "two");
    let id = daemon.inspect("two", "{{.Id}}");
    assert_eq!(
        daemon.barge(&["inspect", "--format", "{{.Name}}", &id[..6]]).text(),
        "/two",
        "a unique prefix is enough"
    );
}

#[test]
fn create_start_and_remove_are_separate_steps() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        let id = daemon.client(client, &["create", "--name", "slow", "busybox", "echo", "hello"]).text();
        assert_eq!(id.len(), 64);
        assert_eq!(daemon.inspect("slow", "{{.State.Status}}"), "created");
        assert_eq!(daemon.client(client, &["start", "--attach", "slow"]).text(), "hello");
        assert_eq!(daemon.inspect("slow", "{{.State.Status}} {{.State.ExitCode}}"), "exited 0");
        assert_eq!(daemon.client(client, &["start", "-a", "slow"]).text(), "hello", "it starts again");
        assert_eq!(daemon.client(client, &["rm", "slow"]).text(), "slow");
        daemon.docker(&["inspect", "slow"]).fails(1, "slow");
    }
}

#[test]
fn writes_stay_in_the_container_until_it_is_removed() {
    let daemon = Daemon::start();
    daemon
        .docker(&[
            "run",
            "--name",
            "writer",
            "busybox",
            "sh",
            "-c",
            "echo kept >/file; rm /etc/group; mkdir -p /a/b",
        ])
        .ok();
    daemon.docker(&["start", "-a", "writer"]);
    assert_eq!(daemon.docker(&["run", "--rm", "busybox", "ls", "/file"]).code, 1, "the image is untouched");
    assert_eq!(daemon.docker(&["run", "--rm", "busybox", "ls", "/etc/group"]).code, 0);
}

#[test]
fn label_and_pull_policy_and_platform() {
    let daemon = Daemon::start();
    daemon.docker(&["create", "--name", "labelled", "--label", "a=b", "--label", "box", "busybox"]).ok();
    assert_eq!(daemon.inspect("labelled", "{{.Config.Labels.a}} {{index .Config.Labels \"box\"}}."), "b .");
    assert_eq!(
        daemon.barge(&["ps", "-aq", "--filter", "label=a=b", "--no-trunc"]).text(),
        daemon.inspect("labelled", "{{.Id}}")
    );
    for client in Client::BOTH {
        daemon
            .client(client, &["run", "--pull", "never", "no-such-image", "true"])
            .fails(125, "No such image: no-such-image:latest");
        daemon
            .client(client, &["create", "--platform", "linux/s390x", "--pull", "never", "busybox"])
            .fails(1, "platform");
    }
}
