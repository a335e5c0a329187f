//! A daemon of its own for each test, and the proof that it leaves nothing behind.

use std::fs::File;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use crate::command::{Outcome, run, wait_until};
use crate::{binary, busybox_archive};

/// Which command line speaks to the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// The `docker` on PATH.
    Docker,
    /// Barge's own.
    Barge,
}

impl Client {
    /// Both, for tests that hold for either.
    pub const BOTH: [Client; 2] = [Client::Docker, Client::Barge];
}

/// How a daemon is started.
#[derive(Debug, Default)]
pub struct Options {
    /// Further flags of the daemon.
    pub flags: Vec<String>,
    /// Don't import the busybox image.
    pub empty: bool,
}

/// A running daemon with its own roots. Dropping it removes all that it made and fails the test
/// if mounts, processes, cgroups or links are left.
#[derive(Debug)]
pub struct Daemon {
    directory: TempDir,
    flags: Vec<String>,
    child: Option<Child>,
}

static COUNTER: AtomicU32 = AtomicU32::new(0);

impl Daemon {
    /// Starts a daemon that has the image `busybox`.
    ///
    /// # Panics
    /// When it doesn't come up.
    #[must_use]
    pub fn start() -> Daemon {
        Daemon::with(Options::default())
    }

    /// Starts a daemon as `options` say.
    ///
    /// # Panics
    /// When it doesn't come up.
    #[must_use]
    pub fn with(options: Options) -> Daemon {
        // Short, because paths of Unix sockets end at 107 bytes; not in /tmp, which may be a
        // tmpfs that can't carry an overlay's upper directory with all its attributes.
        let directory =
            tempfile::Builder::new().prefix("be-").tempdir_in("/var/tmp").expect("make a directory");
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let bip = format!("10.{}.{}.1/24", 100 + std::process::id() % 100, number % 250);
        let mut flags = vec!["--bip".to_owned(), bip];
        flags.extend(options.flags);
        let mut daemon = Daemon { directory, flags, child: None };
        daemon.launch();
        if !options.empty {
            let archive = busybox_archive().to_string_lossy().into_owned();
            daemon.docker(&["import", "--change", "CMD [\"sh\"]", &archive, "busybox:latest"]).ok();
        }
        daemon
    }

    /// Starts the daemon's process on the same roots, as after a crash.
    ///
    /// # Panics
    /// When it doesn't listen within 20 seconds.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "the daemon runs already");
        let log = File::options().create(true).append(true).open(self.path("log")).expect("open the log");
        let child = Command::new(binary())
            .arg("daemon")
            .arg("--data-root")
            .arg(self.path("data"))
            .arg("--exec-root")
            .arg(self.path("run"))
            .arg("--pidfile")
            .arg(self.path("pid"))
            .arg("--host")
            .arg(self.host())
            .args(&self.flags)
            .stdin(std::process::Stdio::null())
            .stdout(log.try_clone().expect("share the log"))
            .stderr(log)
            .spawn()
            .expect("start the daemon");
        self.child = Some(child);
        let (socket, log) = (self.path("sock"), self.path("log"));
        let child = self.child.as_mut().expect("just set");
        wait_until("the daemon listens", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!(
                    "the daemon left with {status}:\n{}",
                    std::fs::read_to_string(&log).unwrap_or_default()
                );
            }
            UnixStream::connect(&socket).is_ok()
        });
    }

    /// Ends the daemon with SIGKILL.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the daemon runs");
        child.kill().expect("kill the daemon");
        child.wait().expect("wait for the daemon");
    }

    /// Ends the daemon with SIGTERM and waits for it.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("the daemon runs");
        let _ = Command::new("kill").arg(child.id().to_string()).status();
        child.wait().expect("wait for the daemon");
    }

    /// The process id of the daemon.
    ///
    /// # Panics
    /// When it doesn't run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the daemon runs").id()
    }

    /// How many clients are connected to its socket, after a moment.
    ///
    /// # Panics
    /// When the kernel's table of sockets can't be read.
    #[must_use]
    pub fn connections(&self) -> usize {
        std::thread::sleep(std::time::Duration::from_millis(10));
        let socket = self.path("sock").to_string_lossy().into_owned();
        let table = std::fs::read_to_string("/proc/net/unix").expect("read the table of sockets");
        // Columns: address, references, protocol, flags, type, state (3: connected), inode, path.
        let connected = |line: &&str| line.ends_with(&socket) && line.split_whitespace().nth(5) == Some("03");
        table.lines().filter(connected).count()
    }

    /// A path in the daemon's own directory: `data`, `run`, `sock`, `log`, or one of the test's.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The address to give to a client.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.path("sock").display())
    }

    /// The address of this host on the daemon's default bridge.
    #[must_use]
    pub fn gateway(&self) -> String {
        self.flags[1].trim_end_matches("/24").to_owned()
    }

    /// All that the daemon logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Runs the real `docker`.
    #[track_caller]
    pub fn docker(&self, arguments: &[&str]) -> Outcome {
        self.client(Client::Docker, arguments)
    }

    /// Runs Barge's own command line.
    #[track_caller]
    pub fn barge(&self, arguments: &[&str]) -> Outcome {
        self.client(Client::Barge, arguments)
    }

    /// Runs either command line without input.
    #[track_caller]
    pub fn client(&self, client: Client, arguments: &[&str]) -> Outcome {
        self.with_input(client, arguments, b"")
    }

    /// Runs either command line with `input` on its standard input.
    #[track_caller]
    pub fn with_input(&self, client: Client, arguments: &[&str], input: &[u8]) -> Outcome {
        run(&mut self.command(client, arguments), input)
    }

    /// A command line that speaks to this daemon, to be started by the caller.
    #[must_use]
    pub fn command(&self, client: Client, arguments: &[&str]) -> Command {
        let mut command = match client {
            Client::Docker => Command::new("docker"),
            Client::Barge => Command::new(binary()),
        };
        command
            .env("DOCKER_HOST", self.host())
            .env("DOCKER_CONFIG", self.path("config"))
            .env_remove("BARGE_HOST")
            .env_remove("DOCKER_CONTEXT")
            .args(arguments);
        command
    }

    /// What `docker inspect` says of one thing, by a Go template.
    #[track_caller]
    #[must_use]
    pub fn inspect(&self, name: &str, template: &str) -> String {
        self.docker(&["inspect", "--format", template, name]).text()
    }

    fn leftovers(&self) -> Vec<String> {
        let own = self.directory.path().to_string_lossy().into_owned();
        let mut left = Vec::new();
        for line in std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default().lines() {
            if line.contains(&own) {
                left.push(format!("mount: {line}"));
            }
        }
        for process in processes_naming(&own) {
            left.push(format!("process: {process}"));
        }
        left
    }

    fn clean_up(&mut self) -> Vec<String> {
        if self.child.is_none() {
            self.launch();
        }
        let listed = self.docker(&["ps", "--all", "--quiet", "--no-trunc"]);
        let containers: Vec<String> = listed.stdout.split_whitespace().map(str::to_owned).collect();
        if !containers.is_empty() {
            let mut arguments = vec!["rm", "--force", "--volumes"];
            arguments.extend(containers.iter().map(String::as_str));
            self.docker(&arguments);
        }
        self.stop();
        let mut left = Vec::new();
        // A shim that was just told to leave may still be on its way out.
        for _ in 0..100 {
            left = self.leftovers();
            left.extend(containers.iter().filter_map(|id| cgroup_of(id)));
            if left.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        for process in processes_naming(&self.directory.path().to_string_lossy()) {
            let pid = process.split(' ').next().unwrap_or_default().to_owned();
            let _ = Command::new("kill").args(["-9", &pid]).status();
        }
        left
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("the daemon's last words:");
            tail.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
        let left = self.clean_up();
        assert!(left.is_empty() || std::thread::panicking(), "left behind:\n{}", left.join("\n"));
    }
}

/// `PID command line` of each process whose command line has this text.
fn processes_naming(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name == std::process::id().to_string() {
            continue;
        }
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(text) && line.contains("shim") {
            found.push(format!("{name} {line}"));
        }
    }
    found
}

fn cgroup_of(id: &str) -> Option<String> {
    ["", "memory/", "pids/", "cpu/", "unified/"]
        .iter()
        .map(|controller| PathBuf::from(format!("/sys/fs/cgroup/{controller}docker/{id}")))
        .find(|path: &PathBuf| Path::exists(path))
        .map(|path| format!("cgroup: {}", path.display()))
}
