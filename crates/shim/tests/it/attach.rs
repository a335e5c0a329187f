//! Clients joined to a container: several at once, what they type, how they leave.

use std::time::Duration;

use barge_shim::{Attach, Event, Framing, Stdin};
use tokio::io::AsyncWriteExt;

use crate::container::{Container, eventually, everything, output, read_all, read_until, send, soon};

#[tokio::test]
async fn several_clients_see_the_same_and_each_only_what_it_asked_for() {
    let mut spawned = Container::new(["sh", "-c", "echo out; sleep 0.05; echo err >&2"]).spawn();
    let mut raw = spawned.attach(output()).await;
    let mut framed = spawned.attach(Attach { framing: Framing::Multiplexed, ..output() }).await;
    let mut errors = spawned.attach(Attach { stdout: false, ..output() }).await;
    soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    assert_eq!(read_all(&mut raw).await, "out\nerr\n");
    assert_eq!(read_all(&mut framed).await, "\x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x04err\n");
    assert_eq!(read_all(&mut errors).await, "err\n");
    assert_eq!(spawned.exited().await.exit_code, 0);
}

#[tokio::test]
async fn stdin_once_ends_with_the_clients_input_and_its_output_goes_on() {
    let mut spawned = Container::new(["sh", "-c", "cat; echo after"]).stdin(Stdin::Once).spawn();
    let mut client = spawned.attach(everything()).await;
    // More than all buffers between here and there, before the container even runs.
    let text = "0123456789abcde\n".repeat(40_000);
    let (mut reading, mut writing) = client.split();
    let sent = async {
        writing.write_all(text.as_bytes()).await.unwrap();
        writing.shutdown().await.unwrap();
    };
    let received = async {
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut bytes).await.unwrap();
        bytes
    };
    let (_, _, received) = soon(async {
        tokio::join!(sent, async { spawned.shim.start(None, Vec::new()).await.unwrap() }, received)
    })
    .await;
    assert_eq!(received.len(), text.len() + 6);
    assert!(received.ends_with(b"after\n"));
    assert_eq!(spawned.exited().await.exit_code, 0);
}

#[tokio::test]
async fn input_of_a_client_that_is_gone_is_still_delivered() {
    let mut spawned = Container::new(["cat"]).stdin(Stdin::Once).spawn();
    let mut client = spawned.attach(everything()).await;
    send(&mut client, "last words\n").await;
    drop(client);
    soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    assert_eq!(spawned.exited().await.exit_code, 0);
    assert_eq!(spawned.container.log_text(), "last words\n");
}

#[tokio::test]
async fn stdin_that_stays_open_takes_one_client_after_the_other() {
    let mut spawned = Container::new(["cat"]).stdin(Stdin::Open).start().await;
    for text in ["one\n", "two\n"] {
        let mut client = spawned.attach(everything()).await;
        send(&mut client, text).await;
        assert_eq!(read_until(&mut client, text).await, text);
        client.shutdown().await.unwrap();
        // As in Docker the session ends with the client's input.
        assert_eq!(read_all(&mut client).await, "");
    }
    soon(spawned.shim.close_stdin(None)).await.unwrap();
    assert_eq!(spawned.exited().await.exit_code, 0);
    assert_eq!(spawned.container.log_text(), "one\ntwo\n");
}

#[tokio::test]
async fn without_open_stdin_there_is_nothing_to_read() {
    let mut spawned = Container::new(["sh", "-c", "cat; echo done"]).spawn();
    let mut client = spawned.attach(everything()).await;
    send(&mut client, "ignored").await;
    soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    assert_eq!(read_all(&mut client).await, "done\n");
    assert_eq!(spawned.exited().await.exit_code, 0);
}

#[tokio::test]
async fn detach_keys_part_a_client_and_the_container_goes_on() {
    let mut spawned = Container::new(["cat"]).stdin(Stdin::Open).start().await;
    let keys = Some(vec![16, 17]);
    let mut client = spawned.attach(Attach { id: 42, detach_keys: keys, ..everything() }).await;
    send(&mut client, "typed\n\x10").await;
    assert_eq!(read_until(&mut client, "typed\n").await, "typed\n");
    send(&mut client, "\x11").await;
    assert_eq!(read_all(&mut client).await, "");
    assert_eq!(spawned.event().await, Some(Event::Detached { attach: 42, exec: None }));
    soon(spawned.shim.close_stdin(None)).await.unwrap();
    assert_eq!(spawned.exited().await.exit_code, 0);
    assert_eq!(spawned.container.log_text(), "typed\n");
}

#[tokio::test]
async fn a_client_that_leaves_disturbs_nobody() {
    let mut spawned = Container::new(["sh", "-c", "seq 20000; sleep 0.1; echo end"]).spawn();
    let leaver = spawned.attach(output()).await;
    let mut other = spawned.attach(output()).await;
    soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    drop(leaver);
    assert!(read_all(&mut other).await.ends_with("20000\nend\n"));
    assert_eq!(spawned.exited().await.exit_code, 0);
    assert_eq!(spawned.container.log_text().lines().count(), 20_001);
}

#[tokio::test]
async fn a_slow_client_holds_the_output_up_and_loses_nothing() {
    let mut spawned = Container::new(["sh", "-c", "seq 300000; echo end"]).spawn();
    let mut slow = spawned.attach(output()).await;
    soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    let container = &spawned.container;
    eventually("some output", || !container.log_text().is_empty()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let held = spawned.container.log_text().len();
    assert!(held < 1 << 20, "{held} bytes went by a client that does not read");
    let seen = read_all(&mut slow).await;
    assert_eq!(seen.lines().count(), 300_001);
    assert_eq!(spawned.exited().await.exit_code, 0);
    assert_eq!(spawned.container.log_text(), seen);
}

#[tokio::test]
async fn a_client_that_never_reads_does_not_keep_the_log_from_being_complete() {
    let mut spawned = Container::new(["sh", "-c", "seq 20000; echo >/done; sleep 1000"]).spawn();
    let _stuck = spawned.attach(Attach { framing: Framing::Multiplexed, ..output() }).await;
    soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    let container = &spawned.container;
    eventually("all output", || container.bundle().join("rootfs/done").exists()).await;
    soon(spawned.shim.signal(9, None)).await.unwrap();
    assert_eq!(spawned.exited().await.exit_code, 137);
    assert_eq!(spawned.container.log_text().lines().count(), 20_000);
}

#[tokio::test]
async fn a_client_that_dies_in_full_flow_ends_the_input_it_owned() {
    // Both directions are full when it goes: its last bytes wait for the process, and the process for it.
    for _ in 0..5 {
        let mut spawned = Container::new(["cat"]).stdin(Stdin::Once).start().await;
        let mut client = spawned.attach(everything()).await;
        let text = vec![b'x'; 8 << 20];
        let sent = tokio::time::timeout(Duration::from_millis(100), client.write_all(&text)).await;
        assert!(sent.is_err(), "nobody reads, so not everything can be written");
        drop(client);
        assert_eq!(spawned.exited().await.exit_code, 0);
    }
}
