//! Resource limits, as the kernel sees them.

use barge_e2e::{Client, Daemon};

/// Prints a control file of the container's own cgroup on a v1, hybrid or v2 host.
fn control(v1: &str, v2: &str) -> String {
    format!("cat /sys/fs/cgroup/{v1} 2>/dev/null || cat /sys/fs/cgroup/{v2}")
}

#[test]
fn limits_reach_the_cgroup() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        let one = |flags: &[&str], v1: &str, v2: &str| {
            let mut arguments = vec!["run", "--rm"];
            arguments.extend(flags);
            let script = control(v1, v2);
            arguments.extend(["busybox", "sh", "-c", &script]);
            daemon.client(client, &arguments).text()
        };
        assert_eq!(one(&["-m", "64m"], "memory/memory.limit_in_bytes", "memory.max"), "67108864");
        assert_eq!(one(&["--pids-limit", "50"], "pids/pids.max", "pids.max"), "50");
        assert_eq!(one(&["--cpuset-cpus", "1"], "cpuset/cpuset.cpus", "cpuset.cpus"), "1");
        let quota = one(&["--cpus", "0.5"], "cpu/cpu.cfs_quota_us", "cpu.max");
        assert!(quota == "50000" || quota == "50000 100000", "{quota}");
        let shares = one(&["--cpu-shares", "512"], "cpu/cpu.shares", "cpu.weight");
        assert!(shares == "512" || shares.parse::<u32>().is_ok(), "{shares}");
    }
}

#[test]
fn running_out_of_memory_is_reported() {
    let daemon = Daemon::start();
    for client in Client::BOTH {
        let outcome = daemon.client(
            client,
            &[
                "run",
                "--name",
                "box",
                "-m",
                "16m",
                "--memory-swap",
                "16m",
                "busybox",
                "sh",
                "-c",
                "tail /dev/zero",
            ],
        );
        assert_eq!(outcome.code, 137, "{outcome:?}");
        assert_eq!(daemon.inspect("box", "{{.State.OOMKilled}} {{.State.ExitCode}}"), "true 137");
        daemon.docker(&["rm", "box"]).ok();
    }
}

#[test]
fn the_number_of_processes_is_limited() {
    let daemon = Daemon::start();
    let outcome = daemon.barge(&[
        "run",
        "--rm",
        "--pids-limit",
        "5",
        "busybox",
        "sh",
        "-c",
        "for n in 1 2 3 4 5 6 7 8; do sleep 1 & done; wait",
    ]);
    assert!(outcome.stderr.contains("can't fork"), "{outcome:?}");
}

#[test]
fn devices_are_denied_unless_given() {
    let daemon = Daemon::start();
    let script = "mknod /tmp/d b 254 0 && dd if=/tmp/d of=/dev/null bs=1 count=1";
    let denied = daemon.docker(&["run", "--rm", "busybox", "sh", "-c", script]);
    assert!(denied.stderr.contains("not permitted"), "{denied:?}");
    let given = daemon.docker(&[
        "run",
        "--rm",
        "--device",
        "/dev/net/tun",
        "busybox",
        "sh",
        "-c",
        "test -c /dev/net/tun && echo there",
    ]);
    if std::path::Path::new("/dev/net/tun").exists() {
        assert_eq!(given.text(), "there");
    }
}
