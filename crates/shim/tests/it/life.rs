//! From the spawn of a shim to its exit record, and the ways in which this can fail.

use std::fs;
use std::time::{Duration, Instant};

use barge_shim::{Error, Event, Kind, Shim, Status};

use crate::container::{Container, eventually, output, read_all, soon};

#[tokio::test]
async fn a_container_runs_and_its_end_is_on_record() {
    let mut spawned = Container::new(["sh", "-c", "echo out; echo err >&2; exit 7"]).spawn();
    let mut client = spawned.attach(output()).await;
    let started = soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    assert!(started.pid > 0);
    let mut seen: Vec<_> = read_all(&mut client).await.lines().map(str::to_owned).collect();
    seen.sort();
    assert_eq!(seen, ["err", "out"]);
    let record = spawned.exited().await;
    assert_eq!((record.pid, record.exit_code, record.oom_killed), (started.pid, 7, false));
    assert!(record.started_at <= record.finished_at);
    assert_eq!(spawned.container.exit_record(), Some(record));
    let begun = Instant::now();
    assert_eq!(spawned.event().await, None);
    assert!(begun.elapsed() < Duration::from_secs(5), "the shim waits for clients that have read everything");
    assert!(!spawned.container.has_cgroup());
    assert!(!spawned.container.bundle().join("shim.sock").exists());
    assert_eq!(spawned.shim_log(), "");
}

#[tokio::test]
async fn a_signal_becomes_128_and_its_number() {
    let mut spawned = Container::new(["sleep", "1000"]).start().await;
    soon(spawned.shim.signal(9, None)).await.unwrap();
    assert_eq!(spawned.exited().await.exit_code, 137);
}

#[tokio::test]
async fn real_time_signals_are_sent_and_impossible_ones_refused() {
    // The first process of a pid namespace only gets signals that it handles; busybox names them by number.
    let mut spawned =
        Container::new(["sh", "-c", "trap 'exit 5' 37; echo ready; while true; do sleep 0.05; done"])
            .start()
            .await;
    let container = &spawned.container;
    eventually("the trap", || container.log_text().contains("ready")).await;
    let Err(Error::Refused(failure)) = soon(spawned.shim.signal(1000, None)).await else { panic!() };
    assert_eq!(failure.kind, Kind::Invalid);
    soon(spawned.shim.signal(37, None)).await.unwrap();
    assert_eq!(spawned.exited().await.exit_code, 5);
}

#[tokio::test]
async fn a_program_that_does_not_exist_is_a_typed_failure_and_leaves_nothing() {
    let mut spawned = Container::new(["no-such-program"]).spawn();
    let mut client = spawned.attach(output()).await;
    let Err(Error::Refused(failure)) = soon(spawned.shim.start(None, Vec::new())).await else { panic!() };
    assert_eq!(failure.kind, Kind::ExecutableNotFound);
    assert_eq!(failure.message, r#"exec: "no-such-program": executable file not found in $PATH"#);
    assert_eq!(read_all(&mut client).await, "");
    assert_eq!(spawned.event().await, None);
    assert!(!spawned.container.has_cgroup());
    assert_eq!(spawned.container.exit_record(), None);
}

#[tokio::test]
async fn a_directory_is_not_a_program() {
    let spawned = Container::new(["/etc"]).spawn();
    let Err(Error::Refused(failure)) = soon(spawned.shim.start(None, Vec::new())).await else { panic!() };
    assert_eq!(failure.kind, Kind::ExecutableNotRunnable);
}

#[tokio::test]
async fn a_daemon_that_dies_before_start_leaves_nothing() {
    let spawned = Container::new(["true"]).spawn();
    assert_eq!(soon(spawned.shim.state()).await.unwrap().status, Status::Created);
    spawned.shim.abandon();
    let container = spawned.container;
    let bundle = container.bundle();
    eventually("the shim's end", || !bundle.join("shim.sock").exists()).await;
    eventually("the cgroup's end", || !container.has_cgroup()).await;
}

#[tokio::test]
async fn a_process_that_outlives_the_first_one_is_killed_without_a_pid_namespace() {
    let mut spawned = Container::new(["sh", "-c", "sleep 1000 & echo started"])
        .edit(|spec| {
            spec["linux"]["namespaces"]
                .as_array_mut()
                .unwrap()
                .retain(|namespace| namespace["type"] != "pid");
        })
        .start()
        .await;
    assert_eq!(spawned.exited().await.exit_code, 0);
    assert_eq!(spawned.container.log_text(), "started\n");
    assert!(!spawned.container.has_cgroup());
}

#[tokio::test]
async fn paused_processes_stand_still() {
    let mut spawned = Container::new(["sh", "-c", "while true; do echo x; sleep 0.01; done"]).start().await;
    soon(spawned.shim.pause()).await.unwrap();
    assert_eq!(soon(spawned.shim.state()).await.unwrap().status, Status::Paused);
    assert!(
        matches!(soon(spawned.shim.pause()).await, Err(Error::Refused(failure)) if failure.kind == Kind::Conflict)
    );
    // What was written before may still be on its way into the log.
    let mut before = 0;
    eventually("it stands still", || {
        before = spawned.container.log_text().len();
        std::thread::sleep(std::time::Duration::from_millis(150));
        spawned.container.log_text().len() == before
    })
    .await;
    soon(spawned.shim.unpause()).await.unwrap();
    let container = &spawned.container;
    eventually("more output", || container.log_text().len() > before).await;
    soon(spawned.shim.signal_all(9)).await.unwrap();
    assert_eq!(spawned.exited().await.exit_code, 137);
}

/// A container with 20 MiB, in which `sh` runs `script`; `dd` with a larger block finds `/dev/zero` there.
fn short_of_memory(script: &str) -> Container {
    Container::new(["sh", "-c", script]).edit(|spec| {
        spec["linux"]["resources"] = serde_json::json!({ "memory": { "limit": 20 << 20, "swap": 20 << 20 } });
        for device in ["/dev/zero", "/dev/null"] {
            spec["mounts"].as_array_mut().unwrap().push(serde_json::json!(
                { "destination": device, "type": "bind", "source": device, "options": ["bind"] }));
        }
    })
}

#[tokio::test]
async fn want_of_memory_is_noted() {
    let mut spawned = short_of_memory("exec dd if=/dev/zero of=/dev/null bs=200M count=1").start().await;
    let mut told = 0;
    let record = loop {
        match spawned.event().await {
            Some(Event::Exited(record)) => break record,
            Some(Event::OutOfMemory) => told += 1,
            event => panic!("{event:?}"),
        }
    };
    assert_eq!((record.exit_code, record.oom_killed, told), (137, true, 1));
}

#[tokio::test]
async fn want_of_memory_is_told_while_the_container_lives_on() {
    let mut spawned = short_of_memory("dd if=/dev/zero of=/dev/null bs=200M count=1; read x; exit 3")
        .stdin(barge_shim::Stdin::Open)
        .start()
        .await;
    assert_eq!(spawned.event().await, Some(Event::OutOfMemory));
    assert_eq!(soon(spawned.shim.state()).await.unwrap().status, Status::Running);
    soon(spawned.shim.close_stdin(None)).await.unwrap();
    let record = spawned.exited().await;
    assert_eq!((record.exit_code, record.oom_killed), (3, true));
}

#[tokio::test]
async fn a_shims_private_memory_is_small() {
    let spawned = Container::new(["sleep", "1000"]).start().await;
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", spawned.shim_pid())).unwrap();
    // Not Private_Dirty: a program that was linked a moment ago has dirty pages in the page cache.
    let private: u64 = rollup
        .lines()
        .filter(|line| line.starts_with("Anonymous:"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    assert!(private < 1500, "{private} KiB\n{rollup}");
    soon(spawned.shim.signal(9, None)).await.unwrap();
}

#[tokio::test]
async fn what_a_dead_shim_leaves_is_reclaimed() {
    let mut spawned = Container::new(["sleep", "1000"]).start().await;
    assert_eq!(soon(spawned.shim.processes()).await.unwrap().len(), 1);
    let pid = rustix::process::Pid::from_raw(spawned.shim_pid()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(spawned.event().await, None);
    assert!(soon(spawned.shim.state()).await.is_err());
    let bundle = spawned.container.bundle();
    tokio::task::spawn_blocking(move || barge_shim::client::reclaim(&bundle)).await.unwrap().unwrap();
    assert!(!spawned.container.has_cgroup());
    assert!(Shim::connect(&spawned.container.bundle()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_containers_at_once_do_not_hold_each_others_descriptors() {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..16 {
        tasks.spawn(async move {
            let mut spawned = Container::new(["sh", "-c", "cat; exit $0", &number.to_string()])
                .stdin(barge_shim::Stdin::Once)
                .spawn();
            let mut client = spawned.attach(crate::container::everything()).await;
            soon(spawned.shim.start(None, Vec::new())).await.unwrap();
            // The end of the input must arrive though fifteen others are being spawned.
            tokio::io::AsyncWriteExt::shutdown(&mut client).await.unwrap();
            assert_eq!(read_all(&mut client).await, "");
            assert_eq!(spawned.exited().await.exit_code, number);
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_shim_keeps_nothing_of_its_parents_descriptors() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    // As in a daemon whose own parent was careless.
    rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty()).unwrap();
    let mut spawned = Container::new(["sleep", "1000"]).start().await;
    drop(writer);
    let ended = tokio::task::spawn_blocking(move || std::io::Read::read(&mut reader, &mut [0]).unwrap());
    assert_eq!(soon(ended).await.unwrap(), 0);
    soon(spawned.shim.signal(9, None)).await.unwrap();
    spawned.exited().await;
}

#[tokio::test]
async fn hooks_run_around_the_life_and_after_the_end() {
    let container = Container::new(["sleep", "1000"]);
    let notes = container.directory.join("notes");
    let hook = |name: &str| {
        let script = format!("echo {name} >> {}", notes.display());
        serde_json::json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}])
    };
    let all = serde_json::json!({
        "createRuntime": hook("createRuntime"), "poststart": hook("poststart"), "poststop": hook("poststop")
    });
    let mut spawned = container.edit(|spec| spec["hooks"] = all).start().await;
    let text = || fs::read_to_string(&notes).unwrap_or_default();
    assert_eq!(text(), "createRuntime\npoststart\n");
    soon(spawned.shim.signal(9, None)).await.unwrap();
    spawned.exited().await;
    eventually("the last hook", || text() == "createRuntime\npoststart\npoststop\n").await;
}
