//! What clients do first: ping, version, negotiation.

use crate::daemon::{Daemon, Response};

#[test]
fn pings_say_who_answers() {
    let daemon = Daemon::start(&[]);
    for (method, body) in [("GET", "OK"), ("HEAD", "")] {
        let ping = daemon.send(method, "/_ping", "", "");
        assert_eq!((ping.status, ping.body.as_str()), (200, body));
        assert_eq!(ping.header("Api-Version"), barge_api::versions::MAX.to_string());
        assert_eq!((ping.header("Ostype"), ping.header("Docker-Experimental")), ("linux", "false"));
        assert!(ping.header("Server").starts_with("Docker/"));
        assert_eq!(ping.header("Cache-Control"), "no-cache, no-store, must-revalidate");
        assert_eq!((ping.header("Pragma"), ping.header("Swarm")), ("no-cache", "inactive"));
        assert_eq!(
            (ping.header("Builder-Version"), ping.header("Content-Type")),
            ("1", "text/plain; charset=utf-8")
        );
    }
}

#[test]
fn versions_from_1_24_on_are_answered() {
    let daemon = Daemon::start(&["--experimental"]);
    let newest = barge_api::versions::MAX.to_string();
    for prefix in [String::new(), "/v1.24".to_owned(), "/v1.41".to_owned(), format!("/v{newest}")] {
        let version = daemon.get(&format!("{prefix}/version"));
        assert_eq!((version.status, version.header("Docker-Experimental")), (200, "true"), "{prefix}");
        let version = version.json();
        assert_eq!(
            (&version["ApiVersion"], &version["MinAPIVersion"]),
            (&newest.clone().into(), &"1.24".into())
        );
        assert_eq!(version["Components"][0]["Name"], "Engine");
    }
    let refused: [(&str, String); 2] = [
        ("9.99", format!("client version 9.99 is too new. Maximum supported API version is {newest}")),
        (
            "1.23",
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a \
             newer version"
                .to_owned(),
        ),
    ];
    for (version, text) in refused {
        let answer = daemon.get(&format!("/v{version}/version"));
        assert_eq!((answer.status, answer.message()), (400, text));
        assert_eq!(answer.header("Api-Version"), newest);
    }
}

#[test]
fn info_is_shaped_by_version() {
    let daemon = Daemon::start(&["--label", "rack=7"]);
    let newest = daemon.get("/info").json();
    assert_eq!((&newest["Driver"], &newest["Labels"][0]), (&"overlay2".into(), &"rack=7".into()));
    assert_eq!(newest["FirewallBackend"]["Driver"], "nftables");
    assert!(newest["NCPU"].as_i64() > Some(0) && newest["MemTotal"].as_i64() > Some(0));
    let old = daemon.get("/v1.40/info").json();
    assert!(old.get("FirewallBackend").is_none() && old["BridgeNfIptables"] == true);
    assert_eq!(old["ID"], newest["ID"]);
}

#[test]
fn a_client_that_closes_its_writing_half_still_gets_its_answer() {
    let daemon = Daemon::start(&[]);
    let mut socket = daemon.open("GET /system/df HTTP/1.1\r\nHost: x\r\n\r\n");
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(Response::read(&mut socket).status, 200);
}
