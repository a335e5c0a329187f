//! The log as a container writes it and as a daemon reads it.

use std::fs;
use std::process::Command;

use barge_shim::logs::{Driver, Query, Reader, Stream, drain, json_file::JsonFile};
use barge_shim::{JsonFileConfig, Stdin};
use jiff::Timestamp;

use crate::container::{Container, eventually, everything, output, send, soon};

fn write(log: &mut JsonFile, text: &str) {
    log.write(Stream::Stdout, text.as_bytes()).unwrap();
}

fn texts(reader: &mut Reader) -> Vec<String> {
    std::iter::from_fn(|| reader.next().unwrap())
        .map(|entry| String::from_utf8(entry.line).unwrap())
        .collect()
}

fn config(directory: &tempfile::TempDir) -> JsonFileConfig {
    JsonFileConfig { path: directory.path().join("c-json.log"), ..JsonFileConfig::default() }
}

#[tokio::test]
async fn a_prompt_without_a_newline_is_logged_when_the_container_ends() {
    let mut spawned =
        Container::new(["sh", "-c", "printf 'a\\nprompt> '; read x"]).stdin(Stdin::Open).spawn();
    let mut client = spawned.attach(everything()).await;
    soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    crate::container::read_until(&mut client, "prompt> ").await;
    assert_eq!(spawned.container.log_text(), "a\n");
    send(&mut client, "\n").await;
    spawned.exited().await;
    assert_eq!(spawned.container.log_text(), "a\nprompt> ");
    let raw = fs::read_to_string(spawned.container.log_path()).unwrap();
    assert!(raw.starts_with(r#"{"log":"a\n","stream":"stdout","time":"20"#), "{raw}");
}

#[tokio::test]
async fn jq_and_dockers_own_reader_would_accept_every_line() {
    let mut spawned = Container::new([
        "sh",
        "-c",
        r#"printf 'tab\there <b>&\377\342\200\250 "q" \\ \033[0m\r\n'; head -c 40000 /bin/busybox"#,
    ])
    .log(|config| config.attrs = [("k".to_owned(), "v".to_owned())].into())
    .start()
    .await;
    spawned.exited().await;
    let output =
        Command::new("jq").args(["-r", ".attrs.k"]).arg(spawned.container.log_path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8(output.stdout).unwrap().lines().all(|line| line == "v"));
    let first = fs::read_to_string(spawned.container.log_path()).unwrap();
    assert!(first.starts_with(
        r#"{"log":"tab\u0009here \u003cb\u003e\u0026\ufffd\u2028 \"q\" \\ \u001b[0m\r\n","stream":"stdout","attrs":{"k":"v"},"time":""#
    ));
}

#[tokio::test]
async fn full_files_are_rotated_compressed_and_read_as_one() {
    let mut spawned = Container::new(["seq", "20000"])
        .log(|config| {
            config.max_size = Some(300_000);
            config.max_file = 4;
            config.compress = true;
        })
        .start()
        .await;
    spawned.exited().await;
    let container = &spawned.container;
    let file = |suffix: &str| container.directory.join(format!("c-json.log{suffix}"));
    eventually("the last compression", || file(".1.gz").exists() && !file(".1").exists()).await;
    assert!(file(".2.gz").exists() && file(".3.gz").exists() && !file(".4.gz").exists());
    let entries = container.entries(Query::default());
    let lines: Vec<u32> =
        entries.iter().map(|entry| String::from_utf8_lossy(&entry.line).trim().parse().unwrap()).collect();
    assert!(lines.len() > 9000 && lines.len() < 20_000);
    assert_eq!(*lines.last().unwrap(), 20_000);
    assert!(lines.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let wanted = lines.len() - 10;
    let tail = container.entries(Query { tail: Some(wanted as u64), ..Query::default() });
    assert_eq!(tail, entries[10..]);
}

#[tokio::test]
async fn tail_since_and_until_choose_entries() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let lines: String = (0..10)
        .map(|second| {
            format!(
                "{{\"log\":\"{second}\\n\",\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:0{second}Z\"}}\n"
            )
        })
        .collect();
    fs::write(&config.path, lines + "{\"log\":\"torn").unwrap();
    let at = |second: u32| Some(format!("2026-01-01T00:00:0{second}Z").parse::<Timestamp>().unwrap());
    let cases = [
        (Query::default(), 0..10),
        (Query { tail: Some(3), ..Query::default() }, 7..10),
        (Query { tail: Some(0), ..Query::default() }, 0..0),
        (Query { tail: Some(99), ..Query::default() }, 0..10),
        (Query { since: at(4), ..Query::default() }, 4..10),
        (Query { until: at(4), ..Query::default() }, 0..5),
        (Query { since: at(2), until: at(3), tail: None }, 2..4),
        (Query { since: at(2), until: None, tail: Some(2) }, 8..10),
    ];
    for (query, wanted) in cases {
        let mut reader = Reader::open(&config.path, query).unwrap();
        let wanted: Vec<_> = wanted.map(|second| format!("{second}\n")).collect();
        assert_eq!(texts(&mut reader), wanted, "{query:?}");
    }
}

#[test]
fn a_reader_that_follows_sees_every_line_across_rotations() {
    let directory = tempfile::tempdir().unwrap();
    for max_file in [1, 5] {
        let config = JsonFileConfig { max_size: Some(500), max_file, ..config(&directory) };
        let mut log = JsonFile::open(&config).unwrap();
        let mut reader = Reader::open(&config.path, Query { tail: Some(0), ..Query::default() }).unwrap();
        let mut seen = Vec::new();
        for number in 0..100 {
            write(&mut log, &format!("{number}\n"));
            if number % 3 == 0 {
                seen.extend(texts(&mut reader));
            }
        }
        seen.extend(texts(&mut reader));
        let wanted: Vec<_> = (0..100).map(|number| format!("{number}\n")).collect();
        assert_eq!(seen, wanted);
    }
}

#[test]
fn a_log_that_does_not_exist_yet_can_be_followed() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    let mut reader = Reader::open(&config.path, Query::default()).unwrap();
    let watch = reader.watch().unwrap();
    assert_eq!(texts(&mut reader), Vec::<String>::new());
    let mut log = JsonFile::open(&config).unwrap();
    write(&mut log, "first\n");
    let mut poll = [rustix::event::PollFd::new(&watch, rustix::event::PollFlags::IN)];
    assert_eq!(
        rustix::event::poll(&mut poll, Some(&rustix::event::Timespec { tv_sec: 5, tv_nsec: 0 })).unwrap(),
        1
    );
    drain(&watch);
    assert_eq!(texts(&mut reader), ["first\n"]);
}

#[test]
fn a_line_cut_off_by_a_crash_is_skipped_and_the_next_ones_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let config = config(&directory);
    write(&mut JsonFile::open(&config).unwrap(), "whole\n");
    let mut bytes = fs::read(&config.path).unwrap();
    bytes.extend_from_slice(b"{\"log\":\"cut o");
    fs::write(&config.path, bytes).unwrap();
    let mut reader = Reader::open(&config.path, Query::default()).unwrap();
    assert_eq!(texts(&mut reader), ["whole\n"]);
    write(&mut JsonFile::open(&config).unwrap(), "after\n");
    assert_eq!(texts(&mut reader), ["after\n"]);
}

#[tokio::test]
async fn two_hundred_thousand_lines_are_cheap() {
    let mut spawned = Container::new(["seq", "200000"]).spawn();
    let mut client = spawned.attach(output()).await;
    let begun = std::time::Instant::now();
    soon(spawned.shim.start(None, Vec::new())).await.unwrap();
    let seen = crate::container::read_all(&mut client).await;
    spawned.exited().await;
    let written = begun.elapsed();
    assert_eq!(seen.lines().count(), 200_000);
    let begun = std::time::Instant::now();
    assert_eq!(spawned.container.entries(Query::default()).len(), 200_000);
    // No promise on a loaded machine; printed for who runs it with --nocapture.
    println!("written in {written:?}, read in {:?}", begun.elapsed());
}
