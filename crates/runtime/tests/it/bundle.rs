//! A bundle for one test: a busybox root, a specification like Docker's, and the commands to run it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

pub(crate) struct Bundle {
    pub(crate) directory: PathBuf,
    pub(crate) id: String,
    pub(crate) spec: Value,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Outcome {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output of a success.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// Standard error of a failure.
    #[track_caller]
    pub(crate) fn bad(self) -> String {
        assert_ne!(self.code, 0, "{self:?}");
        self.stderr
    }
}

/// The example program that `cargo test` builds beside this one.
pub(crate) fn program() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let program = own.parent().unwrap().parent().unwrap().join("examples/runtime");
    assert!(program.exists(), "{program:?} is missing: cargo build -p barge-runtime --examples");
    program
}

const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

impl Bundle {
    /// A bundle whose program is `sh -c script`.
    pub(crate) fn shell(script: &str) -> Self {
        Self::new(&["sh", "-c", script])
    }

    pub(crate) fn new(args: &[&str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let id = format!("it-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join("barge-runtime-it").join(&id);
        fs::create_dir_all(&directory).unwrap();
        make_root(&directory.join("rootfs"));
        let spec = specification(&id, args);
        Self { directory, id, spec }
    }

    pub(crate) fn rootfs(&self) -> PathBuf {
        self.directory.join("rootfs")
    }

    /// Adds a mount.
    pub(crate) fn mount(mut self, mount: Value) -> Self {
        self.spec["mounts"].as_array_mut().unwrap().push(mount);
        self
    }

    /// Adds a bind mount.
    pub(crate) fn bind(self, source: &Path, destination: &str, options: &[&str]) -> Self {
        let options: Vec<&str> = ["bind"].iter().chain(options).copied().collect();
        self.mount(json!({"destination": destination, "type": "bind", "source": source, "options": options}))
    }

    /// Changes one value of the specification, by JSON pointer; missing parents are made.
    pub(crate) fn set(mut self, pointer: &str, value: Value) -> Self {
        let mut place = &mut self.spec;
        for key in pointer.trim_start_matches('/').split('/') {
            if place.is_null() {
                *place = json!({});
            }
            place = match key.parse::<usize>() {
                Ok(index) => &mut place[index],
                Err(_) => &mut place[key],
            };
        }
        *place = value;
        self
    }

    pub(crate) fn write(&self) {
        fs::write(self.directory.join("config.json"), self.spec.to_string()).unwrap();
    }

    /// A command of the runtime with this bundle's state.
    pub(crate) fn runtime(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.arg("--root").arg(self.directory.join("state")).args(args).stdin(Stdio::null());
        command
    }

    pub(crate) fn command(&self, args: &[&str]) -> Outcome {
        Outcome::of(self.runtime(args).output().unwrap())
    }

    fn bundle(&self) -> &str {
        self.directory.to_str().unwrap()
    }

    /// Creates, starts and waits.
    pub(crate) fn run(&self) -> Outcome {
        self.write();
        self.command(&["run", "--bundle", self.bundle(), &self.id])
    }

    /// As [`Bundle::run`], and what went to the log.
    pub(crate) fn run_logged(&self) -> (Outcome, String) {
        self.write();
        let log = self.directory.join("log");
        let outcome =
            self.command(&["--log", log.to_str().unwrap(), "run", "--bundle", self.bundle(), &self.id]);
        (outcome, fs::read_to_string(log).unwrap_or_default())
    }

    /// A container that goes on in the background, its streams in `output`.
    pub(crate) fn start(&self) -> i32 {
        self.write();
        let pid_file = self.directory.join("pid");
        let output = fs::File::create(self.directory.join("output")).unwrap();
        let mut command = self.runtime(&["run", "--detach", "--pid-file"]);
        command.arg(&pid_file).args(["--bundle", self.bundle(), &self.id]);
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let status = command.status().unwrap();
        assert!(status.success(), "{}", self.output());
        fs::read_to_string(pid_file).unwrap().parse().unwrap()
    }

    pub(crate) fn output(&self) -> String {
        fs::read_to_string(self.directory.join("output")).unwrap_or_default()
    }

    pub(crate) fn exec(&self, args: &[&str]) -> Outcome {
        let all: Vec<&str> = ["exec", &self.id].iter().chain(args).copied().collect();
        self.command(&all)
    }

    /// Adds a process as flags describe it, which come before the container's name.
    pub(crate) fn exec_with(&self, flags: &[&str]) -> Outcome {
        let all: Vec<&str> = ["exec"].iter().chain(flags).copied().chain([self.id.as_str()]).collect();
        self.command(&all)
    }

    /// Runs through the library alone. `more` has fields of the example's `Drive`.
    pub(crate) fn drive(&self, more: Value) -> Outcome {
        self.write();
        let mut drive = json!({"id": self.id, "bundle": self.directory, "root": "Bundle"});
        for (key, value) in more.as_object().unwrap() {
            drive[key] = value.clone();
        }
        let file = self.directory.join("drive.json");
        fs::write(&file, drive.to_string()).unwrap();
        let mut command = Command::new(program());
        command.arg("drive").arg(file).stdin(Stdio::null());
        Outcome::of(command.output().unwrap())
    }

    /// The container's directory in a hierarchy of version 1, or in the one of version 2.
    pub(crate) fn cgroup(&self, controller: &str) -> PathBuf {
        let unified = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
        let base = Path::new("/sys/fs/cgroup").join(if unified { "" } else { controller });
        base.join(format!("barge-{}", self.id))
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        let _ = self.runtime(&["delete", "--force", &self.id]).output();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// By another process: one that a test beside this one starts would inherit the file while it is being written, and what
/// somebody can write to can't be executed.
pub(crate) fn copy_program(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg(from).arg(to).status().unwrap().success(), "{to:?}");
}

fn make_root(root: &Path) {
    for name in ["bin", "dev", "etc", "proc", "sys", "tmp", "root", "home/app"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    // A link costs nothing; where /tmp is another filesystem, a copy does.
    if fs::hard_link("/bin/busybox", root.join("bin/busybox")).is_err() {
        copy_program(Path::new("/bin/busybox"), &root.join("bin/busybox"));
    }
    let names = "sh true false cat echo ls id sleep mount umount touch mkdir ln rm ps kill hostname grep stat head \
                 wc env pwd sync tty stty readlink mknod dd chmod sort test ip trap seq domainname tail cut";
    for name in names.split_whitespace() {
        symlink("busybox", root.join("bin").join(name)).unwrap();
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n")
        .unwrap();
    fs::write(root.join("etc/group"), "root:x:0:\napp:x:1001:\nextra:x:2002:app\n").unwrap();
}

fn specification(id: &str, args: &[&str]) -> Value {
    let tmpfs = |destination: &str, options: &[&str]| json!({"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": options});
    json!({
        "ociVersion": "1.2.0",
        "process": {
            "args": args,
            "cwd": "/",
            "env": ["PATH=/bin"],
            "user": {"uid": 0, "gid": 0},
            "capabilities": {
                "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES
            }
        },
        "root": {"path": "rootfs"},
        "hostname": "inside",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
            tmpfs("/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["ro", "nosuid", "noexec", "nodev"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
             "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=67108864"]}
        ],
        "linux": {
            "cgroupsPath": format!("/barge-{id}"),
            "namespaces": [
                {"type": "mount"}, {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}
            ],
            "resources": {"devices": [{"allow": false, "access": "rwm"}]},
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/scsi", "/proc/acpi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        }
    })
}
