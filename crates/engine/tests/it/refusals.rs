//! What cannot be: Docker's words and codes, and nothing left behind.

use barge_api::containers::{HostConfig, WaitCondition};
use barge_engine::Kind;

use crate::harness::{Harbour, command, request};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_not_there() {
    let harbour = Harbour::open().await;
    let mut config = command(&["true"]);
    config.image = "no-such-image".to_owned();
    let error = harbour.create(HostConfig::default(), config).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::NotFound, "No such image: no-such-image:latest"));
    assert_eq!(harbour.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_executed() {
    let harbour = Harbour::open().await;
    let cases = [
        ("no-such-program", 127, "exec: \"no-such-program\": executable file not found in $PATH"),
        ("/no/such/program", 127, "no such file or directory"),
        ("/etc", 126, "permission denied"),
        ("/etc/plain", 126, "permission denied"),
    ];
    for (program, code, words) in cases {
        let id = harbour.create(HostConfig::default(), command(&[program])).await.unwrap();
        let error = harbour.start(&id).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidParameter, "{error}");
        assert!(
            error.message().starts_with(
                "failed to create task for container: failed to create shim task: OCI runtime create failed: "
            ),
            "{error}"
        );
        assert!(error.message().contains(words), "{error}");
        let state = harbour.inspect(&id).await.state;
        assert_eq!((state.status.as_str(), state.exit_code), ("created", code));
        assert_eq!(state.error, error.message());
        assert!(!harbour.root().join("exec/containers").join(&id).exists(), "the bundle is gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_rm_that_cannot_start_is_gone() {
    let harbour = Harbour::open().await;
    let host_config = HostConfig { auto_remove: true, ..HostConfig::default() };
    let id = harbour.create(host_config, command(&["no-such-program"])).await.unwrap();
    let removed = harbour.engine.containers.wait(&id, WaitCondition::Removed).unwrap();
    harbour.start(&id).await.unwrap_err();
    assert_eq!(removed.await.status_code, 127);
    assert_eq!(harbour.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense() {
    let harbour = Harbour::open().await;
    let bad_bind = HostConfig { binds: vec!["/a:b".to_owned()], ..HostConfig::default() };
    let error = harbour.create(bad_bind, command(&["true"])).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidParameter);
    let mut little = HostConfig::default();
    little.resources.memory = 1024;
    let error = harbour.create(little, command(&["true"])).await.unwrap_err();
    assert_eq!(error.message(), "Minimum memory limit allowed is 6MB");
    let request = request(HostConfig::default(), command(&["true"]));
    let error =
        harbour.engine.containers.create(&harbour.engine, Some("we/b"), None, request).await.unwrap_err();
    assert_eq!(error.message(), "Invalid container name (we/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
    let missing = r#"{"Mounts":[{"Type":"bind","Source":"/no/such","Target":"/x"}]}"#;
    let error = harbour.create(serde_json::from_str(missing).unwrap(), command(&["true"])).await.unwrap_err();
    assert_eq!(
        error.message(),
        "invalid mount config for type \"bind\": bind source path does not exist: /no/such"
    );
    assert_eq!(harbour.leftovers(), Vec::<std::path::PathBuf>::new());
}
