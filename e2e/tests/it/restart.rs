//! Restart policies.

use barge_e2e::{Daemon, wait_until};

#[test]
fn on_failure_gives_up_after_its_tries() {
    let daemon = Daemon::start();
    daemon
        .docker(&["run", "-d", "--name", "box", "--restart", "on-failure:2", "busybox", "sh", "-c", "exit 3"])
        .ok();
    wait_until("it has given up", || {
        daemon.inspect("box", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}") == "2 exited 3"
    });
    daemon.docker(&["run", "-d", "--name", "fine", "--restart", "on-failure", "busybox", "true"]).ok();
    wait_until("it ended", || daemon.inspect("fine", "{{.RestartCount}} {{.State.Status}}") == "0 exited");
}

#[test]
fn always_restarts_until_stopped() {
    let daemon = Daemon::start();
    daemon
        .docker(&["run", "-d", "--name", "box", "--restart", "always", "busybox", "sh", "-c", "sleep 0.1"])
        .ok();
    wait_until("it was restarted twice", || {
        daemon.inspect("box", "{{.RestartCount}}").parse::<u32>().is_ok_and(|count| count >= 2)
    });
    daemon.docker(&["stop", "box"]).ok();
    let count = daemon.inspect("box", "{{.RestartCount}}");
    std::thread::sleep(std::time::Duration::from_millis(800));
    assert_eq!(daemon.inspect("box", "{{.RestartCount}} {{.State.Status}}"), format!("{count} exited"));
}
