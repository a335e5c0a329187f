//! Reading what containers wrote.

use barge_engine::containers::LogsOptions;

use crate::harness::Harbour;

fn all() -> LogsOptions {
    LogsOptions { stdout: true, stderr: true, ..LogsOptions::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_tail_and_timestamps() {
    let harbour = Harbour::open().await;
    let id = harbour.run("for n in 1 2 3 4 5; do echo line$n; done; echo bad >&2").await;
    harbour.wait(&id).await;
    let only_out = LogsOptions { stderr: false, ..all() };
    assert_eq!(harbour.logs_with(&id, only_out).await, "line1\nline2\nline3\nline4\nline5\n");
    let only_err = LogsOptions { stdout: false, ..all() };
    assert_eq!(harbour.logs_with(&id, only_err).await, "bad\n");
    let last = LogsOptions { tail: "2".to_owned(), stderr: false, ..all() };
    assert_eq!(harbour.logs_with(&id, last).await, "line5\n");
    let stamped = harbour.logs_with(&id, LogsOptions { timestamps: true, ..all() }).await;
    let first = stamped.lines().next().unwrap();
    assert!(first.ends_with("Z line1") && first.starts_with("20") && first.len() == 30 + 6, "{first}");
    let none = LogsOptions { since: "2999-01-01".to_owned(), ..all() };
    assert_eq!(harbour.logs_with(&id, none).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn following_ends_with_the_container() {
    let harbour = Harbour::open().await;
    let id = harbour.run("for n in 1 2 3 4 5; do echo line$n; sleep 0.1; done").await;
    let followed = harbour.logs_with(&id, LogsOptions { follow: true, ..all() });
    let followed = tokio::time::timeout(std::time::Duration::from_secs(20), followed).await.unwrap();
    assert_eq!(followed, "line1\nline2\nline3\nline4\nline5\n");
    assert!(!harbour.inspect(&id).await.state.running);
}
