//! Errors: statuses and words that clients match on.

use crate::daemon::Daemon;

#[test]
fn unknown_paths_and_methods_are_no_pages() {
    let daemon = Daemon::start(&[]);
    for (method, path) in
        [("GET", "/nowhere"), ("GET", "/v1.44/"), ("PATCH", "/version"), ("GET", "/images/a/b/c")]
    {
        let answer = daemon.send(method, path, "", "");
        assert_eq!((answer.status, answer.message().as_str()), (404, "page not found"), "{method} {path}");
        assert_eq!(answer.header("Content-Type"), "application/json");
    }
    assert_eq!(daemon.send("OPTIONS", "/anything", "", "").status, 200);
}

#[test]
fn what_is_not_there_is_not_found() {
    let daemon = Daemon::start(&[]);
    let cases = [
        ("GET", "/containers/nobody/json", "No such container: nobody"),
        ("POST", "/containers/nobody/start", "No such container: nobody"),
        ("POST", "/containers/nobody/attach?stream=1", "No such container: nobody"),
        ("POST", "/containers/nobody/wait", "No such container: nobody"),
        ("GET", "/exec/none/json", "No such exec instance: none"),
        (
            "GET",
            "/images/registry.test:5000/team/none/json",
            "No such image: registry.test:5000/team/none:latest",
        ),
        ("GET", "/volumes/none", "get none: no such volume"),
        ("GET", "/networks/none-such", "network none-such not found"),
        ("GET", "/plugins/a/b/json", "plugin \"a/b\" not found"),
    ];
    for (method, path, text) in cases {
        let answer = daemon.send(method, path, "", "");
        assert_eq!((answer.status, answer.message().as_str()), (404, text), "{method} {path}");
    }
}

#[test]
fn an_attach_that_can_not_be_is_no_upgrade() {
    let daemon = Daemon::start(&[]);
    let upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n";
    let request = |path: &str| {
        let mut socket =
            daemon.open(&format!("POST {path} HTTP/1.1\r\nHost: x\r\n{upgrade}Content-Length: 0\r\n\r\n"));
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        crate::daemon::Response::read(&mut socket).status
    };
    assert_eq!(request("/containers/nobody/attach?stream=1&stdout=1"), 404);
    assert_eq!(request("/v1.40/exec/none/start"), 404);
}

#[test]
fn bodies_are_judged_as_strictly_as_dockerd_does() {
    let daemon = Daemon::start(&[]);
    let json = "Content-Type: application/json\r\n";
    let cases = [
        (json, "", "invalid JSON: got EOF while reading request body"),
        (json, "{", "invalid JSON: EOF while parsing an object at line 1 column 1"),
        (json, "{} {}", "unexpected content after JSON"),
        (
            "Content-Type: text/plain\r\n",
            "{}",
            "unsupported Content-Type header (text/plain): must be 'application/json'",
        ),
    ];
    for (headers, body, text) in cases {
        let answer = daemon.send("POST", "/containers/create", headers, body);
        assert_eq!((answer.status, answer.message().as_str()), (400, text), "{body}");
    }
    let answer = daemon.post("/containers/create?name=x", r#"{"Image":"none-such"}"#);
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[test]
fn filters_and_parameters_are_checked() {
    let daemon = Daemon::start(&[]);
    for (path, text) in [
        ("/volumes?filters=%7B%22bogus%22%3A%5B%22x%22%5D%7D", "invalid filter 'bogus'"),
        ("/containers/x/logs", "Bad parameters: you must choose at least one stream"),
        ("/system/df?type=socks", "unknown object type: socks"),
        ("/events?since=2&until=1", "`since` time (2) cannot be after `until` time (1)"),
    ] {
        let answer = daemon.get(path);
        assert_eq!((answer.status, answer.message().as_str()), (400, text), "{path}");
    }
    assert_eq!(daemon.get("/volumes?filters=nonsense").status, 400);
}

#[test]
fn outside_a_swarm_nothing_of_it_is_answered() {
    let daemon = Daemon::start(&[]);
    for path in ["/swarm", "/nodes", "/services", "/tasks/x", "/secrets", "/configs"] {
        let answer = daemon.get(path);
        assert_eq!(answer.status, 503, "{path}");
        assert!(answer.message().starts_with("This node is not a swarm manager. Use \"docker swarm init\""));
    }
    assert_eq!(daemon.get("/plugins").json(), serde_json::json!([]));
    assert_eq!(daemon.post("/build", "").status, 501);
}
