//! The command while it waits for a container or one of its processes: ends, streams, signals.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::pipe::PipeFlags;
use rustix::time::Timespec;
use serde_json::json;

use crate::bundle::{Bundle, Outcome, program};

/// However slow the machine is, nothing here takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Until `what` is there.
#[track_caller]
fn await_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Some(found) => return found,
            None => assert!(Instant::now() < deadline, "{what} never came"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a command prints and ends with. One that does not end is ended, and has failed.
#[track_caller]
fn finish(mut command: Command) -> Outcome {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{command:?} goes on for ever");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Outcome::of(child.wait_with_output().unwrap())
}

/// A command of the runtime whose caller ignores the ends of its children.
fn heedless(bundle: &Bundle, args: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.arg("heedless").arg("--root").arg(bundle.directory.join("state")).args(args).stdin(Stdio::null());
    command
}

#[test]
fn callers_may_ignore_the_ends_of_their_children() {
    let bundle = Bundle::shell("grep SigIgn /proc/self/status; exit 3");
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "exit 0"]});
    let bundle = bundle.set("/hooks", json!({"createRuntime": [hook], "poststop": [hook]}));
    bundle.write();
    let outcome = finish(heedless(&bundle, &["run", "-b", bundle.directory.to_str().unwrap(), &bundle.id]));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (3, ""));
    assert_eq!(outcome.stdout, "SigIgn:\t0000000000000000\n");
    assert!(!bundle.cgroup("pids").exists());
}

#[test]
fn callers_of_exec_and_ps_may_too() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let outcome = finish(heedless(&bundle, &["exec", &bundle.id, "sh", "-c", "echo ran; exit 4"]));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (4, "ran\n"));
    let outcome = finish(heedless(&bundle, &["exec", "-t", &bundle.id, "sh", "-c", "echo ran; exit 5"]));
    assert_eq!((outcome.code, outcome.stdout.as_str()), (5, "ran\r\n"));
    if Command::new("ps").arg("-ef").output().is_ok_and(|output| output.status.success()) {
        assert!(finish(heedless(&bundle, &["ps", &bundle.id])).good().contains("sleep 1000"));
    }
}

/// The command with its streams in our hands, ended if it is still there when the test is over.
struct Running(Child);

impl Running {
    fn of(mut command: Command, stdout: impl Into<Stdio>) -> Self {
        Self(command.stdin(Stdio::piped()).stdout(stdout).spawn().unwrap())
    }

    /// Sends it a signal, as somebody who has started it would.
    fn signal(&self, number: i32) {
        barge_sys::process::kill(self.0.id().try_into().unwrap(), number).unwrap();
    }

    #[track_caller]
    fn code(&mut self) -> Option<i32> {
        await_some("the end of the command", || self.0.try_wait().unwrap()).code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Everything from `from`, by a thread of its own: one that waits for ever does not keep the test from failing.
fn read_aside(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).unwrap();
        // Nobody listens any more when the test has failed.
        let _ = sender.send(bytes);
    });
    receiver
}

fn run_of(bundle: &Bundle) -> Command {
    bundle.write();
    bundle.runtime(&["run", "--bundle", bundle.directory.to_str().unwrap(), &bundle.id])
}

#[test]
fn more_than_a_terminal_holds_goes_in_and_out_at_once() {
    const SIZE: usize = 1_200_000;
    let bundle = Bundle::shell(&format!("stty raw -echo; echo ready; head -c {SIZE}; exit 6"))
        .set("/process/terminal", json!(true));
    let mut running = Running::of(run_of(&bundle), Stdio::piped());
    let mut stdout = running.0.stdout.take().unwrap();
    let mut ready = [0; 6];
    stdout.read_exact(&mut ready).unwrap();
    assert_eq!(&ready, b"ready\n");
    let sent: Vec<u8> = (0..SIZE).map(|at| b"0123456789\nabcdefgh"[at % 19]).collect();
    let (input, mut stdin) = (sent.clone(), running.0.stdin.take().unwrap());
    // It stays open: the program has enough before it ends.
    let writer = std::thread::spawn(move || stdin.write_all(&input).map(|()| stdin));
    let received = read_aside(stdout).recv_timeout(PATIENCE).expect("the output of the command");
    assert_eq!(running.code(), Some(6));
    assert!(received == sent, "{} of {SIZE} bytes", received.len());
    writer.join().unwrap().unwrap();
}

#[test]
fn signals_are_passed_on_while_nobody_reads_the_output() {
    let script = "trap 'echo got > /shared/got; exit 7' TERM; cat /dev/zero & while true; do wait; done";
    let bundle = Bundle::shell(script).set("/process/terminal", json!(true));
    let directory = bundle.directory.clone();
    let bundle = bundle.bind(&directory, "/shared", &[]);
    let (stdout, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC).unwrap();
    let mut running = Running::of(run_of(&bundle), theirs.try_clone().unwrap());
    let is_full = || poll(&mut [PollFd::new(&theirs, PollFlags::OUT)], Some(&Timespec::default())) == Ok(0);
    await_some("a full pipe", || is_full().then_some(()));
    drop(theirs);
    running.signal(15);
    await_some("the signal", || {
        fs::read_to_string(directory.join("got")).ok().filter(|text| text == "got\n")
    });
    let received = read_aside(File::from(stdout)).recv_timeout(PATIENCE).expect("the output of the command");
    assert!(received.iter().all(|byte| *byte == 0));
    assert_eq!(running.code(), Some(7));
}

/// A shell that says which signals it gets, until it gets `SIGTERM`.
const LISTENER: &str = "for n in 1 2 3 10 12 14 16 18 20 23 24 25 26 27 28 29 30 37 64; do trap \"echo got $n\" $n; done; \
                        trap 'exit 9' TERM; echo ready; while true; do sleep 0.05; done";

/// Sends every signal to a command that runs [`LISTENER`].
#[track_caller]
fn check_signals(command: Command) {
    let mut running = Running::of(command, Stdio::piped());
    let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let (sender, heard) = channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let next = || heard.recv_timeout(PATIENCE);
    assert_eq!(next().as_deref(), Ok("ready"));
    for number in [1, 2, 3, 10, 12, 14, 16, 18, 20, 24, 25, 26, 27, 29, 30, 37, 64] {
        running.signal(number);
        assert_eq!(next(), Ok(format!("got {number}")));
    }
    // These are the command's own affair. They would come before the last one, whose number is the highest.
    for number in [23, 28, 64] {
        running.signal(number);
    }
    assert_eq!(next().as_deref(), Ok("got 64"));
    running.signal(15);
    assert_eq!(running.code(), Some(9));
    assert_eq!(next(), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn every_signal_reaches_the_container() {
    let bundle = Bundle::shell(LISTENER);
    check_signals(run_of(&bundle));
    assert!(!bundle.cgroup("pids").exists());
}

#[test]
fn every_signal_reaches_an_added_process() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    check_signals(bundle.runtime(&["exec", &bundle.id, "sh", "-c", LISTENER]));
    assert!(bundle.exec(&["true"]).good().is_empty());
}
