//! Connections taken over: both directions, the half-close, refusals.

use barge_api::framing::StreamKind;
use barge_client::{AttachOptions, Error};

use crate::script::{Act, Server};

const UPGRADED: &str = "HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.multiplexed-stream\r\n\
    Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n\u{2}\0\0\0\0\0\0\u{3}err";

#[tokio::test]
async fn output_goes_on_after_the_input_was_closed() {
    let server = Server::start(&[Act::Echo(UPGRADED)]);
    let options =
        AttachOptions { stream: true, stdin: true, stdout: true, stderr: true, ..AttachOptions::default() };
    let (mut output, mut input) =
        server.client.containers().attach("c", &options).await.unwrap().split(false);
    input.write(b"hello").await.unwrap();
    input.close().await.unwrap();
    let mut pieces = Vec::new();
    while let Some((kind, piece)) = output.next().await.unwrap() {
        pieces.push((kind, piece.to_vec()));
    }
    assert_eq!(pieces, [(StreamKind::Stderr, b"err".to_vec()), (StreamKind::Stdout, b"hello".to_vec())]);
    assert_eq!(server.seen(), ["POST /v1.52/containers/c/attach?stream=1&stdin=1&stdout=1&stderr=1"]);
}

#[tokio::test]
async fn a_server_that_keeps_its_connection_is_an_error() {
    let server = Server::start(&[Act::Answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]);
    let error = server.client.containers().attach("c", &AttachOptions::default()).await.unwrap_err();
    assert!(matches!(error, Error::Upgrade { status: 200 }), "{error}");
}
