//! The daemon's life as a process: locks, socket, signals, leaving.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::daemon::{Daemon, wait_until};

#[test]
fn a_second_daemon_on_the_same_roots_is_refused() {
    let daemon = Daemon::start(&[]);
    assert!(!daemon.rival(&[]).success());
    let pid_file = daemon.root.join("run/barge.pid");
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    let text = format!("pid file {} is in use by process {pid}", pid_file.display());
    assert!(daemon.log().contains(&text), "{}", daemon.log());

    let other = format!("--pidfile={}", daemon.root.join("other.pid").display());
    assert!(!daemon.rival(&[&other]).success());
    let text = format!("data root {} is in use by process {pid}", daemon.root.join("data").display());
    assert!(daemon.log().contains(&text), "{}", daemon.log());
    assert_eq!(daemon.get("/_ping").status, 200);
}

#[test]
fn only_root_and_the_group_may_connect() {
    let daemon = Daemon::start(&[]);
    let mode = std::fs::metadata(daemon.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn it_leaves_when_told_and_takes_its_files_along() {
    let mut daemon = Daemon::start(&[]);
    daemon.signal(Signal::USR1);
    assert_eq!(daemon.get("/_ping").status, 200);
    // A client that waits for ever does not hold it up.
    let waiting = daemon.open("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    daemon.signal(Signal::TERM);
    assert!(daemon.wait().success());
    drop(waiting);
    assert!(!daemon.socket().exists() && !daemon.root.join("run/barge.pid").exists());
}

#[test]
fn a_hang_up_reloads_the_log_level() {
    let config = std::env::temp_dir().join(format!("barge-reload-{}.json", std::process::id()));
    std::fs::write(&config, "{}").unwrap();
    let daemon = Daemon::start(&[&format!("--config-file={}", config.display())]);
    std::fs::write(&config, r#"{"debug":true}"#).unwrap();
    daemon.signal(Signal::HUP);
    wait_until("the level changes", || daemon.log().contains("configuration reloaded"));
    daemon.get("/_ping");
    assert!(daemon.log().contains("answered"), "{}", daemon.log());
    std::fs::write(&config, r#"{"bogus":1}"#).unwrap();
    daemon.signal(Signal::HUP);
    wait_until("the file is refused", || {
        daemon.log().contains("don't match any configuration option: bogus")
    });
    std::fs::remove_file(config).unwrap();
}

#[test]
fn it_leaves_when_idle() {
    let mut daemon = Daemon::start(&["--idle-exit=1"]);
    // A request under way is no idleness, however long it takes.
    let events = daemon.open("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(daemon.get("/_ping").status, 200);
    drop(events);
    assert!(daemon.wait().success());
}
