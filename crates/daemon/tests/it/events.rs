//! `/events`: past and live, filtered, in each stream format, and over when the client leaves.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use crate::daemon::{Daemon, wait_until};

/// The events of a chunked body, one JSON document a chunk.
fn documents(body: &str) -> Vec<Value> {
    body.lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn past_events_are_filtered_and_shaped_by_version() {
    let daemon = Daemon::start(&[]);
    assert_eq!(daemon.post("/volumes/create", r#"{"Name":"aa"}"#).status, 201);
    assert_eq!(daemon.post("/volumes/create", r#"{"Name":"bb"}"#).status, 201);
    assert_eq!(daemon.send("DELETE", "/volumes/aa", "", "").status, 204);
    // An end that lies in the past closes the stream.
    let past = |filters: &str| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
        let answer = daemon.get(&format!("/events?since=1&until={now:.6}&filters={filters}"));
        let tell = |event: &Value| format!("{} {}", event["Action"], event["Actor"]["ID"]).replace('"', "");
        documents(&answer.body).iter().map(tell).collect::<Vec<_>>()
    };
    assert_eq!(past(""), ["create aa", "create bb", "destroy aa"]);
    assert_eq!(past("%7B%22volume%22%3A%5B%22bb%22%5D%7D"), ["create bb"]);
    assert_eq!(past("%7B%22event%22%3A%7B%22destroy%22%3Atrue%7D%7D"), ["destroy aa"]);
    assert_eq!(past("%7B%22type%22%3A%5B%22container%22%5D%7D"), [""; 0]);
}

#[test]
fn live_events_arrive_one_by_one_and_a_lost_client_is_forgotten() {
    let daemon = Daemon::start(&[]);
    let socket = daemon.open("GET /events HTTP/1.1\r\nHost: x\r\nAccept: application/json-seq\r\n\r\n");
    let mut lines = BufReader::new(socket).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.eq_ignore_ascii_case("content-type: application/json-seq")));
    let listeners = || daemon.get("/info").json()["NEventsListener"].as_i64().unwrap();
    wait_until("somebody listens", || listeners() == 1);
    daemon.post("/volumes/create", r#"{"Name":"live"}"#);
    let record = lines.find(|line| line.starts_with('\x1e')).unwrap();
    let event: Value = serde_json::from_str(record.trim_start_matches('\x1e')).unwrap();
    assert_eq!(
        (&event["Type"], &event["Action"], &event["scope"]),
        (&"volume".into(), &"create".into(), &"local".into())
    );
    drop(lines);
    wait_until("nobody listens", || listeners() == 0);
}
