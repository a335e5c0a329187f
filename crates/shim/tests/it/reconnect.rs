//! Daemons go and come back; the container does not notice.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use barge_shim::{Event, Exec, Shim, Status, Stdin};

use crate::container::{Container, eventually, everything, process, read_until, send, soon};

#[tokio::test]
async fn a_container_lives_on_without_a_daemon_and_is_found_again() {
    let spawned = Container::new(["sh", "-c", "while read line; do echo got $line; done; exit 9"])
        .stdin(Stdin::Open)
        .start()
        .await;
    let mut client = spawned.attach(everything()).await;
    let before = soon(spawned.shim.state()).await.unwrap();
    spawned.shim.abandon();
    let container = spawned.container;
    assert!(soon(spawned.shim.state()).await.is_err());
    // A client that is attached needs no daemon.
    send(&mut client, "one\n").await;
    read_until(&mut client, "got one\n").await;

    let (shim, mut events) = Shim::connect(&container.bundle()).unwrap();
    assert_eq!(soon(shim.state()).await.unwrap(), before);
    assert_eq!((before.status, before.pid > 0), (Status::Running, true));
    let exec = Exec {
        id: "e".into(),
        process: serde_json::from_value(process(&["sh", "-c", "exit 2"])).unwrap(),
        user: None,
        stdin: Stdin::Closed,
        attach: Vec::new(),
    };
    soon(shim.exec(exec, Vec::new())).await.unwrap();
    assert_eq!(soon(events.recv()).await, Some(Event::ExecExited { id: "e".into(), exit_code: 2 }));
    soon(shim.close_stdin(None)).await.unwrap();
    let Some(Event::Exited(record)) = soon(events.recv()).await else { panic!() };
    assert_eq!((record.exit_code, record.pid), (9, before.pid));
    assert_eq!(soon(events.recv()).await, None);
    assert_eq!(container.log_text(), "got one\n");
}

#[tokio::test]
async fn a_container_that_ends_without_a_daemon_leaves_its_record_and_its_log() {
    let spawned = Container::new(["sh", "-c", "sleep 0.2; echo end; exit 4"]).start().await;
    spawned.shim.abandon();
    let container = spawned.container;
    eventually("the record", || container.exit_record().is_some()).await;
    assert_eq!(container.exit_record().unwrap().exit_code, 4);
    assert_eq!(container.log_text(), "end\n");
    assert!(!container.has_cgroup());
    assert!(Shim::connect(&container.bundle()).is_err());
}

#[tokio::test]
async fn several_daemons_hear_the_same_events() {
    let mut spawned = Container::new(["sleep", "1000"]).start().await;
    let (other, mut events) = Shim::connect(&spawned.container.bundle()).unwrap();
    soon(other.signal(9, None)).await.unwrap();
    let record = spawned.exited().await;
    assert_eq!(soon(events.recv()).await, Some(Event::Exited(record)));
}

#[tokio::test]
async fn a_malformed_packet_ends_only_its_own_connection() {
    let mut spawned = Container::new(["sleep", "1000"]).start().await;
    let path = spawned.container.bundle().join("shim.sock");
    let socket = barge_sys::socket::connect_seqpacket(&path).unwrap();
    barge_sys::socket::send_with_fds(&socket, b"not json", &[]).unwrap();
    let ended =
        || matches!(barge_sys::socket::recv_with_fds(&socket), Ok(Some(packet)) if packet.bytes.is_empty());
    eventually("the connection's end", ended).await;
    assert_eq!(soon(spawned.shim.state()).await.unwrap().status, Status::Running);
    soon(spawned.shim.signal(9, None)).await.unwrap();
    spawned.exited().await;
}

/// The daemon of the test below, in a process of its own.
#[tokio::test]
#[ignore = "a role that another test plays"]
async fn a_daemon_to_be_killed() {
    let spawned = Container::new(["sh", "-c", "echo begun; read line; echo got $line; exit 5"])
        .stdin(Stdin::Once)
        .start()
        .await;
    println!("\nBUNDLE={}", spawned.container.bundle().display());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn killing_the_daemon_and_its_whole_process_group_costs_nothing() {
    use std::os::unix::process::CommandExt;
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "reconnect::a_daemon_to_be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
    let bundle = lines.map_while(Result::ok).find_map(|line| Some(line.strip_prefix("BUNDLE=")?.to_owned()));
    let bundle = std::path::PathBuf::from(bundle.unwrap());
    let group = rustix::process::Pid::from_raw(i32::try_from(daemon.id()).unwrap()).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
    daemon.wait().unwrap();

    let container = Container::found(&bundle);
    let (shim, mut events) = Shim::connect(&bundle).unwrap();
    assert_eq!(soon(shim.state()).await.unwrap().status, Status::Running);
    // The container runs, but may not have come to its first line.
    eventually("the first line", || container.log_text() == "begun\n").await;
    let (mut client, socket) = crate::container::stream_pair();
    soon(shim.attach(everything(), socket)).await.unwrap();
    send(&mut client, "words\n").await;
    assert_eq!(crate::container::read_all(&mut client).await, "got words\n");
    let Some(Event::Exited(record)) = soon(events.recv()).await else { panic!() };
    assert_eq!(record.exit_code, 5);
    assert_eq!(container.exit_record(), Some(record));
    assert_eq!(container.log_text(), "begun\ngot words\n");
}

#[tokio::test]
async fn a_shim_does_not_follow_polite_signals() {
    use rustix::process::{Pid, Signal, kill_process};
    let mut spawned = Container::new(["sleep", "1000"]).start().await;
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        kill_process(Pid::from_raw(spawned.shim_pid()).unwrap(), signal).unwrap();
    }
    assert_eq!(soon(spawned.shim.state()).await.unwrap().status, Status::Running);
    soon(spawned.shim.signal(9, None)).await.unwrap();
    assert_eq!(spawned.exited().await.exit_code, 137);
}
