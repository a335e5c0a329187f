//! A daemon that dies and comes back finds its containers as they are.

use barge_api::containers::{HostConfig, RestartPolicy};

use crate::harness::{Harbour, eventually, shell};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_container_is_taken_over() {
    let harbour = Harbour::open().await;
    let id = harbour
        .run("n=0; while :; do n=$((n+1)); echo tick$n; sleep 0.05; [ -e /tmp/end ] && exit 9; done")
        .await;
    let pid = harbour.inspect(&id).await.state.pid;
    let harbour = harbour.reopen(async |_| {}).await;
    let found = harbour.inspect(&id).await;
    assert!(found.state.running);
    assert_eq!(found.state.pid, pid);
    let before = harbour.logs(&id).await.lines().count();
    eventually("it goes on logging", async || harbour.logs(&id).await.lines().count() > before).await;
    let upper = harbour.root().join("data/overlay/containers").join(&id).join("upper/tmp");
    std::fs::create_dir_all(&upper).unwrap();
    std::fs::write(format!("/proc/{pid}/root/tmp/end"), "").unwrap();
    assert_eq!(harbour.wait(&id).await, 9);
    harbour.remove(&id).await.unwrap();
    assert_eq!(harbour.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_no_daemon_saw_is_known() {
    let harbour = Harbour::open().await;
    let id = harbour.run("sleep 0.3; exit 6").await;
    let seen = id.clone();
    let harbour = harbour
        .reopen(async move |root| {
            let record = root.join("data/containers").join(&seen).join("exit.json");
            eventually("the shim writes its record", async || record.exists()).await;
            let socket = root.join("exec/containers").join(&seen).join("shim.sock");
            eventually("the shim leaves", async || !socket.exists()).await;
        })
        .await;
    let state = harbour.inspect(&id).await.state;
    assert_eq!((state.status.as_str(), state.exit_code), ("exited", 6));
    assert!(state.finished_at > state.started_at);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_no_daemon_saw_is_followed_by_the_policy() {
    let harbour = Harbour::open().await;
    let always = RestartPolicy { name: "always".to_owned(), maximum_retry_count: 0 };
    let again = HostConfig { restart_policy: always, ..HostConfig::default() };
    let again = harbour.create(again, shell("sleep 0.3")).await.unwrap();
    let gone = HostConfig { auto_remove: true, ..HostConfig::default() };
    let gone = harbour.create(gone, shell("sleep 0.3")).await.unwrap();
    for id in [&again, &gone] {
        harbour.start(id).await.unwrap();
    }
    let first = harbour.inspect(&again).await.state.started_at;
    let ended = gone.clone();
    let harbour = harbour
        .reopen(async move |root| {
            let record = root.join("data/containers").join(&ended).join("exit.json");
            eventually("the shim writes its record", async || record.exists()).await;
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        })
        .await;
    eventually("the policy starts it again", async || harbour.inspect(&again).await.state.started_at > first)
        .await;
    eventually("the other is removed", async || !harbour.root().join("data/containers").join(&gone).exists())
        .await;
    harbour.remove(&again).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_container_comes_back_as_it_was() {
    let harbour = Harbour::open().await;
    let id = harbour.run("exit 5").await;
    harbour.wait(&id).await;
    let before = harbour.inspect(&id).await;
    let half_made = harbour.root().join("data/containers").join("f".repeat(64));
    std::fs::create_dir(&half_made).unwrap();
    let harbour = harbour.reopen(async |_| {}).await;
    let mut after = harbour.inspect(&id).await;
    after.graph_driver.clone_from(&before.graph_driver);
    assert_eq!(after, before);
    assert!(!half_made.exists(), "what was never made to the end is erased");
}
