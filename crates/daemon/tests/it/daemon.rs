//! A daemon under test, and the few lines of HTTP that speak to it.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where a daemon's process finds its arguments, one a line.
const ARGUMENTS: &str = "BARGE_TEST_DAEMON_ARGUMENTS";

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// The daemon's process: this very test binary, asked for this one test.
#[test]
#[ignore = "not a test: the daemon of the other tests"]
fn process() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else { return };
    // The harness turns a panic into a failure's exit code.
    assert_eq!(barge_daemon::main(arguments.lines().map(Into::into).collect()), ExitCode::SUCCESS);
}

/// A daemon with its own roots; killed and cleaned away when dropped.
pub(crate) struct Daemon {
    pub(crate) root: PathBuf,
    child: Child,
}

impl Daemon {
    /// Starts a daemon and waits until it listens.
    pub(crate) fn start(flags: &[&str]) -> Self {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let root = std::env::temp_dir().join(format!("barge-daemon-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let child = launch(&root, flags);
        let mut daemon = Self { root, child };
        let socket = daemon.socket();
        wait_until("the daemon listens", || {
            if let Ok(Some(status)) = daemon.child.try_wait() {
                panic!("the daemon left with {status}: {}", daemon.log());
            }
            UnixStream::connect(&socket).is_ok()
        });
        daemon
    }

    /// Starts a second process on the same roots and waits for its end.
    pub(crate) fn rival(&self, flags: &[&str]) -> ExitStatus {
        launch(&self.root, flags).wait().unwrap()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.root.join("sock")
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.root.join("log")).unwrap_or_default()
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the daemon does not end: {}", self.log());
    }

    /// Opens a connection and sends a request's bytes.
    pub(crate) fn open(&self, request: &str) -> UnixStream {
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket.write_all(request.as_bytes()).unwrap();
        socket
    }

    /// Sends a request without a body and reads the response.
    pub(crate) fn get(&self, path: &str) -> Response {
        self.send("GET", path, "", "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Response {
        self.send("POST", path, "Content-Type: application/json\r\n", body)
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &str, body: &str) -> Response {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}");
        let mut socket = self.open(&format!("{head}Content-Length: {length}\r\n\r\n{body}"));
        Response::read(&mut socket)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            println!("the daemon's log:\n{}", self.log());
        }
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

fn launch(root: &Path, flags: &[&str]) -> Child {
    let at = |name: &str| root.join(name).display().to_string();
    let mut arguments = vec![
        format!("--data-root={}", at("data")),
        format!("--exec-root={}", at("run")),
        format!("--host=unix://{}", at("sock")),
        "--bridge=none".to_owned(),
        "--config-file=/dev/null".to_owned(),
    ];
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let log = File::options().create(true).append(true).open(root.join("log")).unwrap();
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "daemon::process", "--ignored", "--nocapture"])
        .env(ARGUMENTS, arguments.join("\n"))
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .process_group(0)
        .spawn()
        .unwrap()
}

/// A response, its head kept as text.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Response {
    /// Reads to the end of the connection.
    pub(crate) fn read(socket: &mut UnixStream) -> Self {
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Self { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// The value of a header, empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        lines
            .filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
            .unwrap_or_default()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text of an error.
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_owned()
    }
}

/// Looks until it holds, for at most 20 seconds.
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
