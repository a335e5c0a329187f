//! Agreeing on a version without asking first.

use barge_api::ApiVersion;
use barge_api::exec::ExecConfig;
use barge_client::{Client, Error, body_from_reader};

use crate::script::{Act, Server};

const TOO_NEW: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 92\r\n\r\n\
    {\"message\":\"client version 1.52 is too new. Maximum supported API version is 1.41        \"}\n";
const CREATED: &str = "HTTP/1.1 201 Created\r\nApi-Version: 1.41\r\nContent-Length: 10\r\n\r\n{\"Id\":\"x\"}";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nApi-Version: 1.60\r\nContent-Length: 2\r\n\r\n[]";

#[tokio::test]
async fn a_version_too_new_is_given_up_and_the_body_sent_again() {
    let server = Server::start(&[Act::Answer(TOO_NEW), Act::Answer(CREATED), Act::Answer(CREATED)]);
    let config = ExecConfig { user: "me".to_owned(), ..ExecConfig::default() };
    assert_eq!(server.client.exec().create("c", &config).await.unwrap(), "x");
    server.client.exec().create("c", &config).await.unwrap();
    let seen = server.seen();
    let lines: Vec<&str> = seen.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(lines, ["/v1.52/containers/c/exec", "/v1.41/containers/c/exec", "/v1.41/containers/c/exec"]);
    assert!(seen[1].contains(r#""User":"me""#));
}

#[tokio::test]
async fn our_newest_is_kept_with_a_newer_engine() {
    let server = Server::start(&[Act::Answer(EMPTY), Act::Answer(EMPTY)]);
    server.client.images().list(false, &Default::default()).await.unwrap();
    assert_eq!(server.client.version().await.unwrap(), barge_api::versions::MAX);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_stream_is_sent_only_once_the_version_is_known() {
    const PONG: &str = "HTTP/1.1 200 OK\r\nApi-Version: 1.44\r\nContent-Length: 0\r\n\r\n";
    const LOADED: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let server = Server::start(&[Act::Answer(PONG), Act::Answer(LOADED)]);
    let mut lines = server.client.images().load(body_from_reader(&b"tar"[..]), true).await.unwrap();
    assert!(lines.next().await.unwrap().is_none());
    assert_eq!(server.seen(), ["HEAD /_ping", "POST /v1.44/images/load?quiet=1"]);
}

#[tokio::test]
async fn a_fixed_version_is_not_given_up() {
    let server = Server::start(&[Act::Answer(TOO_NEW)]);
    let client = Client::new(server.client.endpoint().clone()).with_version(ApiVersion::new(1, 52));
    let error = client.images().list(false, &Default::default()).await.unwrap_err();
    assert!(matches!(error, Error::Api { status: 400, .. }), "{error}");
}
