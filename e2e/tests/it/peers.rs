//! Other engines run containers with our runtime, by the name `barge-runc`: containerd, Podman and Debian's dockerd.
//!
//! Each has its own directories and sockets, and no network to set up. Podman refuses hosts with both versions of
//! cgroups mounted, so it runs where the second one is out of its sight.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use barge_e2e::{Outcome, binary, busybox_archive, run, wait_until};
use tempfile::TempDir;

/// A directory for an engine, with our runtime in it. What is started for it ends with it.
struct Place {
    directory: TempDir,
    daemon: Option<Child>,
}

impl Place {
    fn new() -> Place {
        let directory =
            tempfile::Builder::new().prefix("bp-").tempdir_in("/var/tmp").expect("make a directory");
        symlink(binary(), directory.path().join("barge-runc")).expect("link the runtime");
        Place { directory, daemon: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn launch(&mut self, command: &mut Command) {
        let log = std::fs::File::create(self.path("log")).expect("make the log");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("share the log"))
            .stderr(log)
            .spawn()
            .expect("start the engine");
        self.daemon = Some(child);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = Command::new("kill").arg(daemon.id().to_string()).status();
            let _ = daemon.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.path("log")).unwrap_or_default());
        }
    }
}

#[track_caller]
fn sh(program: &str, arguments: &[&str]) -> Outcome {
    run(Command::new(program).args(arguments), b"")
}

fn unpack(archive: &Path, directory: &Path) {
    std::fs::create_dir(directory).expect("make a directory");
    let (archive, directory) = (archive.to_string_lossy(), directory.to_string_lossy());
    sh("tar", &["-C", &directory, "-xf", &archive]).ok();
}

#[test]
fn containerd_runs_containers_with_it() {
    let mut place = Place::new();
    unpack(busybox_archive(), &place.path("rootfs"));
    let config = format!(
        "version = 2\nroot = {:?}\nstate = {:?}\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
         [grpc]\naddress = {:?}\n[ttrpc]\naddress = {:?}\n",
        place.path("root"),
        place.path("state"),
        place.path("sock"),
        place.path("ttrpc"),
    );
    std::fs::write(place.path("config.toml"), config).expect("write the configuration");
    place.launch(Command::new("containerd").arg("--config").arg(place.path("config.toml")));
    let socket = place.text("sock");
    let ctr = |arguments: &[&str]| sh("ctr", &[&["--address", &socket][..], arguments].concat());
    wait_until("containerd answers", || ctr(&["version"]).code == 0);

    let (runtime, rootfs) = (place.text("barge-runc"), place.text("rootfs"));
    let name = |suffix: &str| format!("peer-{}-{suffix}", std::process::id());
    let with = |flags: &[&str], name: &str, command: &[&str]| {
        let fixed = ["run", "--runc-binary", &runtime];
        ctr(&[&fixed[..], flags, &["--rootfs", &rootfs, name], command].concat())
    };
    let told = with(&["--rm"], &name("short"), &["/bin/sh", "-c", "echo hello; exit 3"]);
    assert_eq!((told.code, told.stdout.as_str()), (3, "hello\n"), "{}", told.stderr);

    let long = name("long");
    with(&["-d"], &long, &["/bin/sleep", "1000"]).ok();
    let told = ctr(&["task", "exec", "--exec-id", "one", &long, "/bin/sh", "-c", "echo from exec; exit 7"]);
    assert_eq!((told.code, told.stdout.as_str()), (7, "from exec\n"), "{}", told.stderr);
    ctr(&["task", "pause", &long]).ok();
    assert!(ctr(&["task", "ls"]).text().contains("PAUSED"));
    ctr(&["task", "resume", &long]).ok();
    assert!(ctr(&["task", "ps", &long]).text().lines().count() == 2);
    ctr(&["task", "kill", "-s", "KILL", &long]).ok();
    wait_until("the task has stopped", || ctr(&["task", "ls"]).text().contains("STOPPED"));
    ctr(&["task", "rm", &long]);
    ctr(&["container", "rm", &long]).ok();
    assert_eq!(ctr(&["container", "ls", "-q"]).text(), "");
}

#[test]
fn podman_runs_containers_with_it() {
    let place = Place::new();
    let podman = |arguments: &[&str]| {
        let runtime = place.text("barge-runc");
        let (root, runroot, temporary) = (place.text("root"), place.text("run"), place.text("tmp"));
        let engine = [
            "podman",
            "--runtime",
            &runtime,
            "--cgroup-manager=cgroupfs",
            "--storage-driver=vfs",
            "--events-backend=file",
            "--root",
            &root,
            "--runroot",
            &runroot,
            "--tmpdir",
            &temporary,
        ];
        let alone = "umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"";
        sh("unshare", &[&["-m", "sh", "-c", alone, "sh"][..], &engine, arguments].concat())
    };
    podman(&["import", &busybox_archive().to_string_lossy(), "box"]).ok();
    let with = |flags: &[&str], command: &[&str]| {
        podman(&[&["run", "--network=none"][..], flags, &["box"], command].concat())
    };
    let told = with(&["--rm"], &["sh", "-c", "echo hello; exit 3"]);
    assert_eq!((told.code, told.stdout.as_str()), (3, "hello\n"), "{}", told.stderr);
    assert_eq!(with(&["--rm", "-t"], &["sh", "-c", "test -t 0 && echo tty"]).text(), "tty");
    with(&["--rm"], &["/nope"]).fails(127, "no such file or directory");

    with(&["-d", "--name=long"], &["sh", "-c", "echo logged; exec sleep 1000"]).ok();
    let told = podman(&["exec", "long", "sh", "-c", "echo from exec; exit 7"]);
    assert_eq!((told.code, told.stdout.as_str()), (7, "from exec\n"), "{}", told.stderr);
    podman(&["pause", "long"]).ok();
    assert_eq!(podman(&["inspect", "--format={{.State.Status}}", "long"]).text(), "paused");
    podman(&["unpause", "long"]).ok();
    assert_eq!(podman(&["logs", "long"]).text(), "logged");
    podman(&["kill", "long"]).ok();
    podman(&["rm", "-f", "long"]).ok();
    assert_eq!(podman(&["ps", "-aq"]).text(), "");
}

#[test]
fn dockerd_runs_containers_with_it() {
    let mut place = Place::new();
    let host = format!("unix://{}", place.text("sock"));
    let runtime = format!("barge={}", place.text("barge-runc"));
    let mut dockerd = Command::new("/usr/sbin/dockerd");
    dockerd.arg("--data-root").arg(place.path("data")).arg("--exec-root").arg(place.path("run"));
    dockerd.arg("--pidfile").arg(place.path("pid")).args(["--host", &host, "--add-runtime", &runtime]);
    place.launch(dockerd.args(["--iptables=false", "--bridge=none", "--storage-driver=vfs"]));
    let docker = |arguments: &[&str]| sh("docker", &[&["--host", &host][..], arguments].concat());
    wait_until("dockerd answers", || docker(&["version"]).code == 0);

    docker(&["import", &busybox_archive().to_string_lossy(), "box"]).ok();
    let with = |flags: &[&str], command: &[&str]| {
        let fixed = ["run", "--runtime=barge", "--network=none"];
        docker(&[&fixed[..], flags, &["box"], command].concat())
    };
    let told = with(&["--rm"], &["sh", "-c", "echo hello; exit 3"]);
    assert_eq!((told.code, told.stdout.as_str()), (3, "hello\n"), "{}", told.stderr);
    assert_eq!(with(&["--rm", "-t"], &["sh", "-c", "test -t 0 && echo tty"]).text(), "tty");
    with(&["--rm"], &["/nope"]).fails(127, "no such file or directory");

    let limits = ["-d", "--name=long", "--memory=20m", "--cpus=0.5", "--pids-limit=50"];
    with(&limits, &["sh", "-c", "echo logged; exec sleep 1000"]).ok();
    let told = docker(&["exec", "long", "sh", "-c", "echo from exec; exit 7"]);
    assert_eq!((told.code, told.stdout.as_str()), (7, "from exec\n"), "{}", told.stderr);
    docker(&["pause", "long"]).ok();
    assert_eq!(docker(&["inspect", "--format={{.State.Status}}", "long"]).text(), "paused");
    docker(&["unpause", "long"]).ok();
    docker(&["update", "--memory=30m", "--memory-swap=60m", "long"]).ok();
    assert!(docker(&["stats", "--no-stream", "--format={{.MemUsage}}", "long"]).text().ends_with("/ 30MiB"));
    wait_until("the line is logged", || docker(&["logs", "long"]).text() == "logged");
    docker(&["kill", "long"]).ok();
    docker(&["rm", "-f", "long"]).ok();
    assert_eq!(docker(&["ps", "-aq"]).text(), "");
}
