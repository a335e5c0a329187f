//! Errors of the engine and of the connection; reuse of an idle one.

use barge_client::{Client, Endpoint, Error};

use crate::script::{Act, Server, nowhere};

const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\nApi-Version: 1.52\r\n\r\n";
const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n\
    {\"message\":\"No such container: missing\"}";

#[tokio::test]
async fn one_connection_serves_request_after_request() {
    let server = Server::start(&[Act::Answer(NO_CONTENT), Act::Answer(NO_CONTENT), Act::Answer(NO_CONTENT)]);
    for id in ["a", "b", "c"] {
        server.client.containers().start(id, "").await.unwrap();
    }
    assert_eq!(server.connections(), 1);
    assert_eq!(server.seen()[2], "POST /v1.52/containers/c/start");
}

#[tokio::test]
async fn an_idle_connection_that_was_closed_is_replaced() {
    let server = Server::start(&[Act::AnswerAndClose(NO_CONTENT), Act::Answer(NO_CONTENT)]);
    server.client.containers().start("a", "").await.unwrap();
    server.client.containers().start("b", "").await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn the_engines_words_and_status_come_through() {
    let server = Server::start(&[Act::Answer(NOT_FOUND)]);
    let error = server.client.containers().start("missing", "").await.unwrap_err();
    assert_eq!(error.to_string(), "Error response from daemon: No such container: missing");
    assert!(error.is_not_found());
}

#[tokio::test]
async fn an_error_that_is_no_json_is_shown_as_it_is() {
    let server =
        Server::start(&[Act::Answer("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\nproxy\n")]);
    let error = server.client.containers().start("a", "").await.unwrap_err();
    assert_eq!(error.to_string(), "Error response from daemon: proxy");
}

#[tokio::test]
async fn nobody_there_is_said_in_dockers_words() {
    let client = Client::new(Endpoint::Unix(nowhere()));
    let error = client.containers().start("a", "").await.unwrap_err();
    assert!(error.is_connect() && matches!(error, Error::Connect { .. }));
    let text = "Cannot connect to the Docker daemon at unix:///nonexistent/barge-client-test.sock. Is the docker daemon running?";
    assert_eq!(error.to_string(), text);
}
