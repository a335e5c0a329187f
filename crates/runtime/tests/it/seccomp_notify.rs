//! System calls that somebody outside the container decides on.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use serde_json::{Value, json};

use crate::bundle::Bundle;

/// Takes one connection and what comes with it: the state, and how many descriptors. They are closed at once.
fn agent(bundle: &Bundle) -> JoinHandle<(Value, usize)> {
    let path = bundle.directory.join("agent.sock");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(path).unwrap();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let (mut bytes, mut fds) = (Vec::new(), 0);
        loop {
            poll(&mut [PollFd::new(&stream, PollFlags::IN)], None).unwrap();
            let Some(packet) = barge_sys::socket::recv_with_fds(stream.as_fd()).unwrap() else { continue };
            if packet.bytes.is_empty() {
                return (serde_json::from_slice(&bytes).unwrap(), fds);
            }
            bytes.extend(packet.bytes);
            fds += packet.fds.len();
        }
    })
}

fn open_mkdir(bundle: Bundle) -> Bundle {
    let path = bundle.directory.join("agent.sock");
    bundle.set("/annotations", json!({"org.example.key": "value"})).set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "listenerMetadata": "some text",
               "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
               "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}),
    )
}

/// The agent closes its descriptor: what the container asks is answered by the kernel with ENOSYS then.
#[test]
fn the_listener_gets_state_and_descriptor() {
    for no_new_privileges in [false, true] {
        let bundle = open_mkdir(Bundle::shell("mkdir /tmp/x 2>&1; true"))
            .set("/process/noNewPrivileges", json!(no_new_privileges));
        let agent = agent(&bundle);
        let text = bundle.run().good();
        assert!(text.contains("Function not implemented"), "{text}");
        let (state, fds) = agent.join().unwrap();
        assert_eq!(fds, 1);
        assert_eq!(state["fds"], json!(["seccompFd"]));
        assert_eq!(state["metadata"], "some text");
        assert_eq!(state["state"]["id"], json!(bundle.id));
        assert_eq!(state["state"]["status"], "creating");
        assert_eq!(state["state"]["annotations"], json!({"org.example.key": "value"}));
        assert_eq!(state["state"]["bundle"], json!(bundle.directory));
        assert_eq!(state["pid"], state["state"]["pid"]);
    }
}

#[test]
fn an_added_process_has_a_listener_of_its_own() {
    let bundle = open_mkdir(Bundle::shell("sleep 100"));
    let first = agent(&bundle);
    let pid = bundle.start();
    first.join().unwrap();
    let second = agent(&bundle);
    let text = bundle.exec(&["sh", "-c", "mkdir /tmp/x 2>&1; true"]).good();
    assert!(text.contains("Function not implemented"), "{text}");
    let (state, _) = second.join().unwrap();
    assert_eq!(state["state"]["status"], "running");
    assert_eq!(state["state"]["pid"], json!(pid));
    assert_ne!(state["pid"], json!(pid));
}

#[test]
fn without_a_listener_nothing_runs() {
    let bundle = open_mkdir(Bundle::shell("echo ran"));
    let outcome = bundle.run();
    assert_eq!(outcome.stdout, "");
    assert!(outcome.bad().contains("seccomp listener"));
}

#[test]
fn an_errno_belongs_to_actions_that_return_one() {
    let bundle = Bundle::shell("true").set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW",
               "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_KILL", "errnoRet": 5}]}),
    );
    assert!(bundle.run().bad().contains("takes no errnoRet"));
}
