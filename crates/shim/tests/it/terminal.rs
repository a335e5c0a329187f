//! A container with a terminal.

use barge_shim::{Attach, Event, Stdin};

use crate::container::{Container, everything, read_all, read_until, send, soon};

#[tokio::test]
async fn a_terminal_has_a_size_echoes_and_can_be_resized() {
    let mut container =
        Container::new(["sh", "-c", "stty size; read line; echo got $line; stty size; exit 6"])
            .terminal()
            .stdin(Stdin::Open);
    container.config.console_size = Some((80, 25));
    let mut spawned = container.spawn();
    let mut client = spawned.attach(everything()).await;
    soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    assert_eq!(read_until(&mut client, "\r\n").await, "25 80\r\n");
    soon(spawned.shim.resize(None, 132, 50)).await.unwrap();
    send(&mut client, "hello\r").await;
    let text = read_all(&mut client).await;
    assert_eq!(text, "hello\r\ngot hello\r\n50 132\r\n");
    assert_eq!(spawned.exited().await.exit_code, 6);
    assert_eq!(spawned.container.log_text(), "25 80\r\nhello\r\ngot hello\r\n50 132\r\n");
}

#[tokio::test]
async fn a_size_set_before_start_is_the_one_it_starts_with() {
    let mut spawned = Container::new(["stty", "size"]).terminal().spawn();
    soon(spawned.shim.resize(None, 99, 11)).await.unwrap();
    soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    assert_eq!(spawned.exited().await.exit_code, 0);
    assert_eq!(spawned.container.log_text(), "11 99\r\n");
}

#[tokio::test]
async fn detaching_from_a_terminal_and_coming_back() {
    let mut spawned = Container::new(["sh", "-c", "stty -echo; read a; echo 1$a; read b; echo 2$b"])
        .terminal()
        .stdin(Stdin::Open)
        .start()
        .await;
    let keys = Attach { detach_keys: Some(vec![16, 17]), ..everything() };
    let mut first = spawned.attach(keys.clone()).await;
    send(&mut first, "x\r").await;
    read_until(&mut first, "1x\r\n").await;
    send(&mut first, "\x10\x11").await;
    read_all(&mut first).await;
    assert!(matches!(spawned.event().await, Some(Event::Detached { .. })));
    let mut second = spawned.attach(keys).await;
    send(&mut second, "y\r").await;
    assert_eq!(read_all(&mut second).await, "2y\r\n");
    assert_eq!(spawned.exited().await.exit_code, 0);
}

#[tokio::test]
async fn the_last_output_of_a_terminal_is_not_lost() {
    let mut spawned = Container::new(["seq", "5000"]).terminal().start().await;
    assert_eq!(spawned.exited().await.exit_code, 0);
    assert_eq!(spawned.container.log_text().lines().count(), 5000);
}
