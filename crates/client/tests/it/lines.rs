//! Streams of JSON values, however they are cut.

use barge_client::{Error, EventOptions};

use crate::script::{Act, Server};

#[tokio::test]
async fn values_come_one_by_one_from_any_pieces() {
    const CHUNKS: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        c\r\n{\"Action\":\"a\r\n4\r\n\"}\n{\r\n10\r\n\"Action\":\"b\"}\r\n\n\r\n12\r\n\u{1e}{\"Action\":\"c\"}\r\n\n\r\nc\r\n{\"Action\":\"d\r\n2\r\n\"}\r\n0\r\n\r\n";
    let server = Server::start(&[Act::AnswerAndClose(CHUNKS)]);
    let mut events = server.client.system().events(&EventOptions::default()).await.unwrap();
    let mut actions = Vec::new();
    while let Some(event) = events.next().await.unwrap() {
        actions.push(event.action);
    }
    assert_eq!(actions, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn a_stream_that_breaks_off_is_an_error() {
    const BROKEN: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n{\"Action\":";
    let server = Server::start(&[Act::AnswerAndClose(BROKEN)]);
    let mut events = server.client.system().events(&EventOptions::default()).await.unwrap();
    assert!(matches!(events.next().await, Err(Error::Body { .. })));
}

#[tokio::test]
async fn another_language_is_an_error() {
    const OTHER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n";
    let server = Server::start(&[Act::AnswerAndClose(OTHER)]);
    let mut events = server.client.system().events(&EventOptions::default()).await.unwrap();
    assert!(matches!(events.next().await, Err(Error::Decode { .. })));
}
