//! A container for a test: `Container::run(["sh", "-c", "…"])` up to its exit record, five lines long.

use std::fs;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use barge_runtime::{Cgroup, Root};
use barge_shim::logs::{Entry, Query, Reader};
use barge_shim::{
    Attach, Config, Event, Events, ExitRecord, Framing, JsonFileConfig, LogConfig, Shim, Stdin,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const APPLETS: &[&str] = &[
    "sh", "cat", "echo", "sleep", "seq", "head", "stty", "true", "printf", "yes", "wc", "dd", "ls", "tty",
    "kill",
];

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A bundle on disk and, once spawned, its shim.
pub(crate) struct Container {
    pub(crate) directory: PathBuf,
    pub(crate) config: Config,
    spec: serde_json::Value,
    cgroup: String,
}

/// A shim that was spawned for a container.
pub(crate) struct Spawned {
    pub(crate) container: Container,
    pub(crate) shim: Shim,
    pub(crate) events: Events,
}

impl Container {
    /// A container that runs `args`, whose first is found below `/bin`.
    pub(crate) fn new<const N: usize>(args: [&str; N]) -> Self {
        let name = format!("shim-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(format!("barge-{name}"));
        make_rootfs(&directory.join("bundle/rootfs"));
        let cgroup = format!("/barge-test/{name}");
        let mut config = Config::new(name, Root::Bundle, directory.join("exit.json"));
        let path = directory.join("c-json.log");
        config.log = LogConfig::JsonFile(JsonFileConfig { path, ..JsonFileConfig::default() });
        let spec = specification(&args, &cgroup);
        Self { directory, config, spec, cgroup }
    }

    /// One whose bundle another process made; it is this one's to take away.
    pub(crate) fn found(bundle: &Path) -> Self {
        let config = Config::load(bundle).unwrap();
        let cgroup = format!("/barge-test/{}", config.id);
        let directory = bundle.parent().unwrap().to_owned();
        Self { directory, config, spec: json!({}), cgroup }
    }

    /// The container's standard input.
    pub(crate) fn stdin(mut self, stdin: Stdin) -> Self {
        self.config.stdin = stdin;
        self
    }

    /// Gives it a terminal.
    pub(crate) fn terminal(mut self) -> Self {
        self.spec["process"]["terminal"] = json!(true);
        self
    }

    /// Changes the specification.
    pub(crate) fn edit(mut self, edit: impl FnOnce(&mut serde_json::Value)) -> Self {
        edit(&mut self.spec);
        self
    }

    /// Changes the options of its log.
    pub(crate) fn log(mut self, edit: impl FnOnce(&mut JsonFileConfig)) -> Self {
        if let LogConfig::JsonFile(config) = &mut self.config.log {
            edit(config);
        }
        self
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.directory.join("bundle")
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.directory.join("c-json.log")
    }

    /// Spawns its shim.
    pub(crate) fn spawn(self) -> Spawned {
        let bundle = self.bundle();
        fs::write(bundle.join("config.json"), self.spec.to_string()).unwrap();
        self.config.save(&bundle).unwrap();
        let (shim, events) = Shim::spawn(&program(), &bundle).unwrap();
        Spawned { container: self, shim, events }
    }

    /// Spawns its shim and runs its program.
    pub(crate) async fn start(self) -> Spawned {
        let spawned = self.spawn();
        if let Err(error) = soon(spawned.shim.start(None, Vec::new())).await {
            panic!("{error}\n{}", spawned.shim_log());
        }
        spawned
    }

    /// All entries of its log.
    pub(crate) fn entries(&self, query: Query) -> Vec<Entry> {
        let mut reader = Reader::open(&self.log_path(), query).unwrap();
        std::iter::from_fn(|| reader.next().unwrap()).collect()
    }

    /// The text of its log, both streams together.
    pub(crate) fn log_text(&self) -> String {
        let lines = self.entries(Query::default()).into_iter().flat_map(|entry| entry.line).collect();
        String::from_utf8(lines).unwrap()
    }

    pub(crate) fn exit_record(&self) -> Option<ExitRecord> {
        ExitRecord::load(&self.config.exit_file).unwrap()
    }

    /// Whether a directory of its cgroup is left in any hierarchy.
    pub(crate) fn has_cgroup(&self) -> bool {
        let hierarchies = fs::read_dir("/sys/fs/cgroup").unwrap();
        let path = self.cgroup.trim_start_matches('/');
        hierarchies.flatten().any(|hierarchy| hierarchy.path().join(path).exists())
            || Path::new("/sys/fs/cgroup").join(path).exists()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // What the test may have left running or may have removed already.
        if self.has_cgroup()
            && let Ok(cgroup) = Cgroup::open(&self.cgroup)
        {
            let _ = cgroup.thaw();
            let _ = cgroup.signal_all(9);
            for _ in 0..50 {
                if cgroup.remove().is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

impl Spawned {
    /// Waits until the container has ended.
    pub(crate) async fn exited(&mut self) -> ExitRecord {
        loop {
            match self.event().await {
                Some(Event::Exited(record)) => return record,
                Some(_) => {}
                None => panic!("the shim is gone: {}", self.shim_log()),
            }
        }
    }

    pub(crate) async fn event(&mut self) -> Option<Event> {
        soon(self.events.recv()).await
    }

    pub(crate) fn shim_log(&self) -> String {
        fs::read_to_string(self.container.bundle().join("shim.log")).unwrap_or_default()
    }

    /// Joins a client to the container.
    pub(crate) async fn attach(&self, attach: Attach) -> UnixStream {
        let (ours, theirs) = stream_pair();
        soon(self.shim.attach(attach, theirs)).await.unwrap();
        ours
    }

    pub(crate) fn shim_pid(&self) -> i32 {
        let text = fs::read_to_string(self.container.bundle().join("shim.pid")).unwrap();
        text.parse().unwrap()
    }
}

/// A client that gets everything and may type.
pub(crate) fn everything() -> Attach {
    Attach {
        id: 1,
        exec: None,
        stdin: true,
        stdout: true,
        stderr: true,
        detach_keys: None,
        framing: Framing::Raw,
    }
}

/// A client that only reads.
pub(crate) fn output() -> Attach {
    Attach { stdin: false, ..everything() }
}

/// A client's end, and the end that is handed over.
pub(crate) fn stream_pair() -> (UnixStream, OwnedFd) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    (UnixStream::from_std(ours).unwrap(), theirs.into())
}

/// Reads until the end of the stream.
pub(crate) async fn read_all(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    soon(stream.read_to_end(&mut bytes)).await.unwrap();
    String::from_utf8(bytes).unwrap()
}

/// Reads until `wanted` has come.
pub(crate) async fn read_until(stream: &mut UnixStream, wanted: &str) -> String {
    let mut text = String::new();
    let mut piece = [0; 4096];
    while !text.contains(wanted) {
        let read = soon(stream.read(&mut piece)).await.unwrap();
        assert!(read > 0, "the stream ended without {wanted:?}: {text:?}");
        text.push_str(&String::from_utf8_lossy(&piece[..read]));
    }
    text
}

/// Writes everything.
pub(crate) async fn send(stream: &mut UnixStream, text: &str) {
    soon(stream.write_all(text.as_bytes())).await.unwrap();
}

/// Fails a test that waits for what does not come.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("nothing came for 20 s")
}

/// Waits until something is so.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what} did not come true in 10 s");
}

/// The program that cargo builds beside the tests, or the one to be measured in its place.
fn program() -> PathBuf {
    if let Some(program) = std::env::var_os("BARGE_SHIM") {
        return PathBuf::from(program);
    }
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(Path::parent).unwrap().join("examples/barge-shim")
}

fn make_rootfs(rootfs: &Path) {
    for directory in ["bin", "proc", "dev", "tmp", "etc", "sys"] {
        fs::create_dir_all(rootfs.join(directory)).unwrap();
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
    for applet in APPLETS {
        std::os::unix::fs::symlink("busybox", rootfs.join("bin").join(applet)).unwrap();
    }
}

fn specification(args: &[&str], cgroup: &str) -> serde_json::Value {
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": "rootfs" },
        "hostname": "test",
        "process": process(args),
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts",
              "options": ["newinstance", "ptmxmode=0666", "mode=0620"] },
        ],
        "linux": {
            "cgroupsPath": cgroup,
            "namespaces": [
                { "type": "pid" }, { "type": "mount" }, { "type": "ipc" }, { "type": "uts" }, { "type": "network" },
            ],
        },
    })
}

/// A process of the specification.
pub(crate) fn process(args: &[&str]) -> serde_json::Value {
    let capabilities = ["CAP_KILL", "CAP_CHOWN"];
    json!({
        "args": args,
        "cwd": "/",
        "env": ["PATH=/bin"],
        "user": { "uid": 0, "gid": 0 },
        "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
    })
}
