//! More processes in a running container.

use barge_shim::{Attach, Error, Event, Exec, Kind, Stdin};
use tokio::io::AsyncWriteExt;

use crate::container::{
    Container, Spawned, everything, process, read_all, read_until, send, soon, stream_pair,
};

fn exec(id: &str, args: &[&str]) -> Exec {
    Exec {
        id: id.into(),
        process: serde_json::from_value(process(args)).unwrap(),
        user: None,
        stdin: Stdin::Closed,
        attach: Vec::new(),
    }
}

async fn exec_exit(spawned: &mut Spawned, wanted: &str) -> i32 {
    loop {
        match spawned.event().await {
            Some(Event::ExecExited { id, exit_code }) if id == wanted => return exit_code,
            Some(_) => {}
            None => panic!("the shim is gone: {}", spawned.shim_log()),
        }
    }
}

async fn end(mut spawned: Spawned) {
    soon(spawned.shim.signal(9, None)).await.unwrap();
    assert_eq!(spawned.exited().await.exit_code, 137);
    assert_eq!(spawned.shim_log(), "");
}

#[tokio::test]
async fn an_exec_has_its_own_streams_and_exit_code() {
    let mut spawned = Container::new(["sleep", "1000"]).start().await;
    let (mut client, socket) = stream_pair();
    let request = Exec {
        stdin: Stdin::Once,
        attach: vec![everything()],
        ..exec("e1", &["sh", "-c", "cat; echo err >&2; exit 3"])
    };
    let started = soon(spawned.shim.exec(request, vec![socket])).await.unwrap();
    assert!(soon(spawned.shim.processes()).await.unwrap().contains(&started.pid));
    assert_eq!(soon(spawned.shim.state()).await.unwrap().execs, [("e1".to_owned(), started.pid)]);
    send(&mut client, "in\n").await;
    client.shutdown().await.unwrap();
    assert_eq!(read_all(&mut client).await, "in\nerr\n");
    assert_eq!(exec_exit(&mut spawned, "e1").await, 3);
    assert_eq!(spawned.container.log_text(), "", "an exec's output is not the container's");
    end(spawned).await;
}

#[tokio::test]
async fn several_execs_run_at_once_and_are_signalled_apart() {
    let mut spawned = Container::new(["sleep", "1000"]).start().await;
    for id in ["a", "b"] {
        soon(spawned.shim.exec(exec(id, &["sleep", "1000"]), Vec::new())).await.unwrap();
    }
    soon(spawned.shim.signal(15, Some("b"))).await.unwrap();
    assert_eq!(exec_exit(&mut spawned, "b").await, 143);
    assert_eq!(soon(spawned.shim.state()).await.unwrap().execs.len(), 1);
    assert!(matches!(
        soon(spawned.shim.signal(15, Some("b"))).await,
        Err(Error::Refused(failure)) if failure.kind == Kind::NotFound
    ));
    soon(spawned.shim.signal(9, None)).await.unwrap();
    assert_eq!(exec_exit(&mut spawned, "a").await, 137);
    assert_eq!(spawned.exited().await.exit_code, 137);
}

#[tokio::test]
async fn a_failed_exec_leaves_the_clients_socket_untouched() {
    let spawned = Container::new(["sleep", "1000"]).start().await;
    let (mut client, socket) = stream_pair();
    let kept = socket.try_clone().unwrap();
    let request = Exec { attach: vec![everything()], ..exec("e", &["no-such-program"]) };
    let Err(Error::Refused(failure)) = soon(spawned.shim.exec(request, vec![socket])).await else { panic!() };
    assert_eq!(failure.kind, Kind::ExecutableNotFound);
    rustix::io::write(&kept, b"the daemon's words").unwrap();
    drop(kept);
    assert_eq!(read_all(&mut client).await, "the daemon's words");
    end(spawned).await;
}

#[tokio::test]
async fn an_exec_may_have_a_terminal_of_its_own() {
    let mut spawned = Container::new(["sleep", "1000"]).start().await;
    let (mut client, socket) = stream_pair();
    let mut request = Exec {
        stdin: Stdin::Open,
        attach: vec![Attach { id: 9, detach_keys: Some(vec![16, 17]), ..everything() }],
        ..exec("t", &["sh", "-c", "stty size; read line; stty size; read line"])
    };
    let mut process = process(&["sh", "-c", "stty size; read line; stty size; read line; exit 4"]);
    process["terminal"] = true.into();
    process["consoleSize"] = serde_json::json!({ "height": 33, "width": 77 });
    request.process = serde_json::from_value(process).unwrap();
    soon(spawned.shim.exec(request, vec![socket])).await.unwrap();
    read_until(&mut client, "33 77\r\n").await;
    soon(spawned.shim.resize(Some("t"), 100, 40)).await.unwrap();
    send(&mut client, "\r").await;
    read_until(&mut client, "40 100\r\n").await;
    send(&mut client, "\x10\x11").await;
    assert_eq!(spawned.event().await, Some(Event::Detached { attach: 9, exec: Some("t".into()) }));
    read_all(&mut client).await;
    soon(spawned.shim.signal(1, Some("t"))).await.unwrap();
    assert_eq!(exec_exit(&mut spawned, "t").await, 129);
    end(spawned).await;
}

#[tokio::test]
async fn an_exec_may_bring_a_large_environment() {
    let mut spawned = Container::new(["sleep", "1000"]).start().await;
    let mut request = exec("e", &[]);
    let mut process = process(&["sh", "-c", "exit ${#V7}"]);
    let env = process["env"].as_array_mut().unwrap();
    env.extend((0..7).map(|number| format!("V{number}={}", "x".repeat(100_000)).into()));
    env.push("V7=12345".into());
    request.process = serde_json::from_value(process).unwrap();
    soon(spawned.shim.exec(request, Vec::new())).await.unwrap();
    assert_eq!(exec_exit(&mut spawned, "e").await, 5);
    end(spawned).await;
}
