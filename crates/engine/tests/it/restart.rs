//! Restarts, by the policy and by hand.

use barge_api::containers::{HostConfig, RestartPolicy, UpdateRequest};
use barge_engine::containers::StopOptions;

use crate::harness::{Harbour, eventually, shell};

fn policy(name: &str, most: i64) -> HostConfig {
    let restart_policy = RestartPolicy { name: name.to_owned(), maximum_retry_count: most };
    HostConfig { restart_policy, ..HostConfig::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_failure_stops_at_its_count() {
    let harbour = Harbour::open().await;
    let id = harbour.create(policy("on-failure", 2), shell("echo run; exit 1")).await.unwrap();
    harbour.start(&id).await.unwrap();
    eventually("the last restart", async || harbour.inspect(&id).await.state.status == "exited").await;
    assert_eq!(harbour.inspect(&id).await.restart_count, 2);
    assert_eq!(harbour.logs(&id).await, "run\nrun\nrun\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn always_restarts_until_it_is_stopped() {
    let harbour = Harbour::open().await;
    let id = harbour.create(policy("always", 0), shell("exit 0")).await.unwrap();
    harbour.start(&id).await.unwrap();
    eventually("two restarts", async || harbour.inspect(&id).await.restart_count >= 2).await;
    harbour.engine.containers.stop(&harbour.engine, &id, StopOptions::default()).await.unwrap();
    let state = harbour.inspect(&id).await.state;
    assert!(!state.running && state.status == "exited", "{state:?}");
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert!(!harbour.inspect(&id).await.state.running);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_by_hand_is_another_run() {
    let harbour = Harbour::open().await;
    let host_config = HostConfig { auto_remove: true, ..HostConfig::default() };
    let id = harbour.create(host_config, shell("sleep 60")).await.unwrap();
    harbour.start(&id).await.unwrap();
    let before = harbour.inspect(&id).await.state;
    let options = StopOptions { timeout: Some(0), ..StopOptions::default() };
    harbour.engine.containers.restart(&harbour.engine, &id, options).await.unwrap();
    let after = harbour.inspect(&id).await.state;
    assert!(after.running && after.pid != before.pid && after.started_at > before.started_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_change_while_it_runs() {
    let harbour = Harbour::open().await;
    let id = harbour.run("sleep 60").await;
    let mut request = UpdateRequest::default();
    request.resources.memory = 64 << 20;
    request.resources.memory_swap = 128 << 20;
    request.restart_policy.name = "unless-stopped".to_owned();
    harbour.engine.containers.update(&harbour.engine, &id, request).await.unwrap();
    let found = harbour.inspect(&id).await.host_config;
    assert_eq!((found.resources.memory, found.restart_policy.name.as_str()), (64 << 20, "unless-stopped"));
}
