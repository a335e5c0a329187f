//! Create, start, stop, kill, pause, rename, remove, and what can be seen meanwhile.

use std::time::{Duration, Instant};

use barge_api::Filters;
use barge_api::containers::{ContainerConfig, HostConfig, WaitCondition};
use barge_engine::Kind;
use barge_engine::containers::{ListOptions, StopOptions};

use crate::harness::{Harbour, command, eventually, request, shell};

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_to_its_end_and_leaves_code_and_log() {
    let harbour = Harbour::open().await;
    let id = harbour.run("echo out; echo err >&2; exit 3").await;
    assert_eq!(harbour.wait(&id).await, 3);
    let found = harbour.inspect(&id).await;
    assert_eq!((found.state.status.as_str(), found.state.exit_code, found.state.pid), ("exited", 3, 0));
    let log = harbour.logs(&id).await;
    assert!(log.contains("out\n") && log.contains("err\n"), "{log}");
    assert_eq!((found.path.as_str(), found.args.len()), ("sh", 2));
    harbour.remove(&id).await.unwrap();
    assert_eq!(harbour.leftovers(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_inside_is_what_was_asked_for() {
    let harbour = Harbour::open().await;
    let host_config = HostConfig {
        readonly_rootfs: true,
        tmpfs: crate::harness::map(&[("/scratch", "size=1m")]),
        cap_drop: vec!["ALL".to_owned()],
        ..HostConfig::default()
    };
    let config = ContainerConfig {
        hostname: "quay".to_owned(),
        user: "guest".to_owned(),
        working_dir: "/tmp".to_owned(),
        env: vec!["A=b".to_owned()],
        ..shell(
            "hostname; id -un; pwd; echo $A; touch /x 2>&1; echo y > /scratch/y && cat /scratch/y; grep CapEff /proc/self/status; cat /etc/hostname",
        )
    };
    let id = harbour.create(host_config, config).await.unwrap();
    harbour.start(&id).await.unwrap();
    harbour.wait(&id).await;
    let log = harbour.logs(&id).await;
    for line in ["quay", "guest", "/tmp", "b", "Read-only file system", "y", "CapEff:\t0000000000000000"] {
        assert!(log.contains(line), "{line} is missing in:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_asks_and_then_kills() {
    let harbour = Harbour::open().await;
    let polite = harbour.run("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done").await;
    let deaf = harbour.run("trap '' TERM; echo ready; while :; do sleep 0.05; done").await;
    for id in [&polite, &deaf] {
        eventually("the trap is set", async || harbour.logs(id).await == "ready\n").await;
    }
    let containers = &harbour.engine.containers;
    containers.stop(&harbour.engine, &polite, StopOptions::default()).await.unwrap();
    assert_eq!(harbour.inspect(&polite).await.state.exit_code, 7);
    let begin = Instant::now();
    let options = StopOptions { timeout: Some(1), ..StopOptions::default() };
    containers.stop(&harbour.engine, &deaf, options.clone()).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_secs(1));
    assert_eq!(harbour.inspect(&deaf).await.state.exit_code, 137);
    let again = containers.stop(&harbour.engine, &deaf, options).await.unwrap_err();
    assert_eq!(again.kind(), Kind::NotModified);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_container_does_nothing_until_it_is_unpaused() {
    let harbour = Harbour::open().await;
    let id = harbour.run("while :; do sleep 0.05; done").await;
    let containers = &harbour.engine.containers;
    containers.pause(&harbour.engine, &id).await.unwrap();
    let found = harbour.inspect(&id).await;
    assert!(found.state.paused && found.state.running && found.state.status == "paused");
    assert_eq!(containers.pause(&harbour.engine, &id).await.unwrap_err().kind(), Kind::Conflict);
    containers.unpause(&harbour.engine, &id).await.unwrap();
    assert!(!harbour.inspect(&id).await.state.paused);
    containers.pause(&harbour.engine, &id).await.unwrap();
    containers.kill(&harbour.engine, &id, None).await.unwrap();
    assert_eq!(harbour.inspect(&id).await.state.exit_code, 137);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_rm_goes_with_its_end() {
    let harbour = Harbour::open().await;
    let host_config = HostConfig { auto_remove: true, ..HostConfig::default() };
    let mut config = shell("cat /data/file; exit 4");
    config.volumes.insert("/data".to_owned(), barge_api::Empty);
    let id = harbour.create(host_config, config).await.unwrap();
    let volume = harbour.inspect(&id).await.mounts[0].name.clone();
    assert!(harbour.engine.volumes.inspect(&volume).is_ok());
    let removed = harbour.engine.containers.wait(&id, WaitCondition::Removed).unwrap();
    harbour.start(&id).await.unwrap();
    assert_eq!(removed.await.status_code, 4);
    assert_eq!(harbour.leftovers(), Vec::<std::path::PathBuf>::new());
    assert!(harbour.engine.volumes.inspect(&volume).is_err(), "its own volume goes with it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_volume_holds_what_the_image_has_there() {
    let harbour = Harbour::open().await;
    let host_config = HostConfig { binds: vec!["keep:/data".to_owned()], ..HostConfig::default() };
    let id = harbour.create(host_config, shell("cat /data/file; echo more > /data/more")).await.unwrap();
    harbour.start(&id).await.unwrap();
    assert_eq!(harbour.wait(&id).await, 0);
    assert_eq!(harbour.logs(&id).await, "mine\n");
    let data = harbour.root().join("data/volumes/keep/_data");
    assert_eq!(std::fs::read_to_string(data.join("more")).unwrap(), "more\n");
    assert_eq!(harbour.engine.containers.users_of_volume("keep"), [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_unique_and_can_change() {
    let harbour = Harbour::open().await;
    let create = async |name: &str| {
        let request = request(HostConfig::default(), command(&["true"]));
        harbour.engine.containers.create(&harbour.engine, Some(name), None, request).await
    };
    let first = create("web").await.unwrap().id;
    let error = create("web").await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.message().starts_with(&format!(
        "Conflict. The container name \"/web\" is already in use by container \"{first}\"."
    )));
    harbour.engine.containers.rename(&harbour.engine, "web", "site").await.unwrap();
    assert_eq!(harbour.inspect("site").await.id, first);
    assert_eq!(harbour.inspect(&first[..12]).await.name, "/site");
    create("web").await.unwrap();
    let filters = Filters::parse(r#"{"name":["site"]}"#).unwrap();
    let options = ListOptions { all: true, filters, ..ListOptions::default() };
    let list = harbour.engine.containers.list(&harbour.engine, options).await.unwrap();
    assert_eq!(list.iter().map(|found| found.id.as_str()).collect::<Vec<_>>(), [first.as_str()]);
    assert_eq!((list[0].state.as_str(), list[0].status.as_str()), ("created", "Created"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_cannot_be_removed_without_force() {
    let harbour = Harbour::open().await;
    let id = harbour.run("sleep 60").await;
    let options = barge_engine::containers::RemoveOptions::default();
    let error = harbour.engine.containers.remove(&harbour.engine, &id, options).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(
        error.message(),
        format!(
            "cannot remove container {id:?}: container is running: stop the container before removing or force remove"
        )
    );
    harbour.remove(&id).await.unwrap();
    assert_eq!(harbour.leftovers(), Vec::<std::path::PathBuf>::new());
    let gone = harbour.engine.containers.start(&harbour.engine, &id).await.unwrap_err();
    assert_eq!(gone.message(), format!("No such container: {id}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_start_at_once() {
    let harbour = Harbour::open().await;
    let starts = (0..20).map(|_| async { harbour.run("true").await });
    let ids = futures_util::future::join_all(starts).await;
    for id in &ids {
        assert_eq!(harbour.wait(id).await, 0);
    }
    assert_eq!(harbour.engine.containers.counts().stopped, 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn top_shows_the_containers_processes_only() {
    let harbour = Harbour::open().await;
    let id = harbour.run("sleep 60").await;
    let top = harbour.engine.containers.top(&id, "").await.unwrap();
    assert!(top.titles.contains(&"PID".to_owned()));
    assert!((1..=2).contains(&top.processes.len()), "{:?}", top.processes);
    assert!(top.processes.iter().all(|row| row.last().is_some_and(|command| command.contains("sleep"))));
}
