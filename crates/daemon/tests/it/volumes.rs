//! `/volumes` over the wire.

use crate::daemon::Daemon;

#[test]
fn a_volume_lives_and_dies() {
    let daemon = Daemon::start(&[]);
    let made = daemon.post("/volumes/create", r#"{"Name":"data","Labels":{"tier":"db"}}"#);
    assert_eq!(made.status, 201);
    let made = made.json();
    assert_eq!(
        (&made["Driver"], &made["Scope"], &made["Labels"]["tier"]),
        (&"local".into(), &"local".into(), &"db".into())
    );
    let path = made["Mountpoint"].as_str().unwrap().to_owned();
    std::fs::write(format!("{path}/file"), "12345").unwrap();

    assert_eq!(daemon.get("/volumes/data").json(), made);
    let list = daemon.get("/volumes?filters=%7B%22label%22%3A%5B%22tier%3Ddb%22%5D%7D").json();
    assert_eq!(list["Volumes"].as_array().unwrap().len(), 1);
    let usage = daemon.get("/v1.44/system/df?type=volume").json();
    assert_eq!(usage["Volumes"][0]["UsageData"], serde_json::json!({ "RefCount": 0, "Size": 5 }));
    assert!(usage.get("Images").is_none_or(serde_json::Value::is_null));

    assert_eq!(daemon.send("DELETE", "/volumes/data", "", "").status, 204);
    assert!(!std::path::Path::new(&path).exists());
    assert_eq!(daemon.send("DELETE", "/volumes/data", "", "").status, 404);
    assert_eq!(daemon.send("DELETE", "/volumes/data?force=1", "", "").status, 204);
}

#[test]
fn prune_takes_anonymous_volumes_and_since_1_42_only_those() {
    let daemon = Daemon::start(&[]);
    let pruned = |prefix: &str| {
        daemon.post("/volumes/create", r#"{"Name":"named"}"#);
        daemon.post("/volumes/create", "");
        let answer = daemon.post(&format!("{prefix}/volumes/prune"), "").json();
        answer["VolumesDeleted"].as_array().unwrap().len()
    };
    assert_eq!(pruned("/v1.42"), 1);
    assert_eq!(pruned("/v1.41"), 2);
}

#[test]
fn bad_names_and_options_are_refused() {
    let daemon = Daemon::start(&[]);
    for (body, status) in [
        (r#"{"Name":"../evil"}"#, 400),
        (r#"{"Name":"x"}"#, 400),
        (r#"{"Name":"data","DriverOpts":{"size":"1"}}"#, 400),
        (r#"{"Name":"data","Driver":"rexray"}"#, 404),
    ] {
        assert_eq!(daemon.post("/volumes/create", body).status, status, "{body}");
    }
    assert_eq!(daemon.get("/volumes").json()["Volumes"], serde_json::json!([]));
}
