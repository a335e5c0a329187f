//! Clients on a container's standard streams.

use std::os::unix::net::UnixStream as StdStream;

use barge_api::containers::{ContainerConfig, HostConfig};
use barge_engine::ClientStream;
use barge_engine::containers::AttachOptions;
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::harness::{Harbour, command, eventually, shell, unframe};

fn all() -> AttachOptions {
    AttachOptions { stdin: true, stdout: true, stderr: true, stream: true, ..AttachOptions::default() }
}

async fn attach(harbour: &Harbour, id: &str, options: AttachOptions, early: &'static str) -> UnixStream {
    let (ours, theirs) = StdStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let stream = ClientStream::Socket(theirs.into(), Bytes::from_static(early.as_bytes()));
    harbour.engine.containers.attach(&harbour.engine, id, options, stream).await.unwrap();
    UnixStream::from_std(ours).unwrap()
}

async fn read_all(mut client: UnixStream) -> String {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).await.unwrap();
    unframe(&bytes)
}

#[tokio::test(flavor = "multi_thread")]
async fn attached_before_the_start_nothing_is_missed() {
    let harbour = Harbour::open().await;
    let id = harbour.create(HostConfig::default(), shell("echo first; echo second >&2")).await.unwrap();
    let one = attach(&harbour, &id, all(), "").await;
    let two = attach(&harbour, &id, AttachOptions { stderr: false, ..all() }, "").await;
    harbour.start(&id).await.unwrap();
    let both = read_all(one).await;
    assert!(both.contains("first\n") && both.contains("second\n"), "{both}");
    assert_eq!(read_all(two).await, "first\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_arrives_also_what_came_with_the_request() {
    let harbour = Harbour::open().await;
    let config = ContainerConfig { open_stdin: true, stdin_once: true, ..command(&["cat"]) };
    let id = harbour.create(HostConfig::default(), config).await.unwrap();
    let mut client = attach(&harbour, &id, all(), "early ").await;
    harbour.start(&id).await.unwrap();
    client.write_all(b"late").await.unwrap();
    client.shutdown().await.unwrap();
    assert_eq!(read_all(client).await, "early late");
    assert_eq!(harbour.wait(&id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_logged_is_replayed() {
    let harbour = Harbour::open().await;
    let id = harbour.run("echo before; sleep 2; echo after").await;
    eventually("the first line", async || harbour.logs(&id).await == "before\n").await;
    let client = attach(&harbour, &id, AttachOptions { logs: true, ..all() }, "").await;
    assert_eq!(read_all(client).await, "before\nafter\n");
}
