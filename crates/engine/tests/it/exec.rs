//! Further processes in running containers.

use std::os::unix::net::UnixStream;

use barge_api::exec::{ExecConfig, ExecStartRequest};
use barge_engine::{ClientStream, Kind};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::{Harbour, eventually, unframe};

fn config(words: &[&str]) -> ExecConfig {
    ExecConfig {
        cmd: Some(words.iter().map(|word| (*word).to_owned()).collect()),
        attach_stdout: true,
        attach_stderr: true,
        ..ExecConfig::default()
    }
}

/// Runs an exec to its end; what it wrote and its exit code.
async fn exec(harbour: &Harbour, container: &str, config: ExecConfig, input: &str) -> (String, i64) {
    let execs = &harbour.engine.execs;
    let id = execs.create(&harbour.engine, container, config).await.unwrap().id;
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    let mut ours = tokio::net::UnixStream::from_std(ours).unwrap();
    let stream = ClientStream::Socket(theirs.into(), Bytes::new());
    execs.check_start(&harbour.engine, &id, &ExecStartRequest::default()).unwrap();
    execs.start(&harbour.engine, &id, ExecStartRequest::default(), Some(stream)).await.unwrap();
    ours.write_all(input.as_bytes()).await.unwrap();
    ours.shutdown().await.unwrap();
    let mut bytes = Vec::new();
    ours.read_to_end(&mut bytes).await.unwrap();
    eventually("the exec ends", async || {
        execs.inspect(&harbour.engine, &id).await.unwrap().exit_code.is_some()
    })
    .await;
    (unframe(&bytes), execs.inspect(&harbour.engine, &id).await.unwrap().exit_code.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn output_input_and_exit_codes() {
    let harbour = Harbour::open().await;
    let id = harbour.run("echo here > /tmp/mark; sleep 60").await;
    eventually("the mark is there", async || {
        exec(&harbour, &id, config(&["cat", "/tmp/mark"]), "").await == ("here\n".to_owned(), 0)
    })
    .await;
    let (output, code) = exec(&harbour, &id, config(&["sh", "-c", "id -un; exit 5"]), "").await;
    assert_eq!((output.as_str(), code), ("root\n", 5));
    let as_guest = ExecConfig {
        user: "guest".to_owned(),
        env: vec!["A=b".to_owned()],
        ..config(&["sh", "-c", "id -un; echo $A"])
    };
    assert_eq!(exec(&harbour, &id, as_guest, "").await.0, "guest\nb\n");
    let with_input = ExecConfig { attach_stdin: true, ..config(&["cat"]) };
    assert_eq!(exec(&harbour, &id, with_input, "typed").await, ("typed".to_owned(), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals() {
    let harbour = Harbour::open().await;
    let id = harbour.run("sleep 60").await;
    let (output, code) = exec(&harbour, &id, config(&["no-such-program"]), "").await;
    assert_eq!(code, 127);
    assert_eq!(
        output,
        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"no-such-program\": executable \
         file not found in $PATH: unknown\r\n"
    );
    let execs = &harbour.engine.execs;
    let error = execs.create(&harbour.engine, &id, ExecConfig::default()).await.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::InvalidParameter, "No exec command specified"));
    harbour.engine.containers.kill(&harbour.engine, &id, None).await.unwrap();
    let error = execs.create(&harbour.engine, &id, config(&["true"])).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (Kind::Conflict, format!("container {id} is not running").as_str())
    );
    assert_eq!(
        execs.inspect(&harbour.engine, "nothing").await.unwrap_err().message(),
        "No such exec instance: nothing"
    );
}
