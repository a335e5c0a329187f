//! Containers with a terminal.

use std::io::{IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde_json::json;

use crate::bundle::Bundle;

/// Accepts the terminal's master as `--console-socket` sends it.
pub(crate) fn receive(listener: &UnixListener) -> OwnedFd {
    let (stream, _) = listener.accept().unwrap();
    let mut name = [0u8; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(&stream, &mut [IoSliceMut::new(&mut name)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        .unwrap();
    let fds = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(fds) => Some(fds),
        _ => None,
    });
    fds.flatten().next().unwrap()
}

pub(crate) fn read_until(master: &mut std::fs::File, word: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut text = String::new();
    let mut buffer = [0u8; 1024];
    while !text.contains(word) {
        assert!(Instant::now() < deadline, "{text}");
        match master.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => text.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    text
}

/// Starts a container in the background and takes its terminal's master.
fn start(bundle: &Bundle) -> std::fs::File {
    bundle.write();
    let socket = bundle.directory.join("console.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let mut command = bundle.runtime(&["run", "-d", "--console-socket"]);
    command.arg(&socket).arg("-b").arg(&bundle.directory).arg(&bundle.id);
    let mut child = command.spawn().unwrap();
    let master = std::fs::File::from(receive(&listener));
    assert!(child.wait().unwrap().success());
    master
}

#[test]
fn the_terminal_is_the_containers_own() {
    let script = "tty; stty size; stat -c %F /dev/console; readlink /proc/self/fd/0; \
                  echo typed > /dev/tty; read line; echo got $line";
    let bundle = Bundle::shell(script)
        .set("/process/terminal", json!(true))
        .set("/linux/devices", json!([{"path": "/dev/console", "type": "c", "major": 5, "minor": 1}]))
        .set("/process/consoleSize", json!({"height": 31, "width": 97}));
    let mut master = start(&bundle);
    let text = read_until(&mut master, "typed");
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    assert_eq!(lines, ["/dev/pts/0", "31 97", "character special file", "/dev/pts/0", "typed"]);
    master.write_all(b"hello\n").unwrap();
    assert!(read_until(&mut master, "got hello").contains("got hello"));
}

#[test]
fn the_interrupt_key_reaches_the_program() {
    let bundle =
        Bundle::shell("trap 'echo interrupted; exit 4' INT; echo ready; while true; do sleep 0.05; done")
            .set("/process/terminal", json!(true));
    let mut master = start(&bundle);
    read_until(&mut master, "ready");
    master.write_all(&[3]).unwrap();
    assert!(read_until(&mut master, "interrupted").contains("interrupted"));
}

#[test]
fn a_terminal_needs_somebody_to_hold_it() {
    let bundle = Bundle::shell("true").set("/process/terminal", json!(true));
    bundle.write();
    let outcome = bundle.command(&["run", "-d", "-b", bundle.directory.to_str().unwrap(), &bundle.id]);
    assert!(outcome.bad().contains("console socket"));
}

#[test]
fn an_added_process_gets_a_terminal_too() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    // Our own streams are no terminal here: the command copies what comes from the container's.
    let outcome = bundle.command(&["exec", "-t", &bundle.id, "sh", "-c", "tty; echo $0"]);
    assert_eq!(outcome.good(), "/dev/pts/0\r\nsh\r\n");
}

#[test]
fn a_console_is_mounted_where_devices_are_read_only() {
    let bundle = Bundle::shell("stat -c %F /dev/console; touch /dev/new || echo done")
        .set("/process/terminal", json!(true))
        .set("/mounts/1/options", json!(["nosuid", "mode=755", "ro"]));
    let mut master = start(&bundle);
    let text = read_until(&mut master, "done");
    assert!(text.contains("character special") && text.contains("Read-only"), "{text}");
}
