//! What callers written for runc rely on: flags, logs, exit codes, words, and descriptors handed on.

use std::fs;
use std::io::IoSliceMut;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Stdio;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use serde_json::Value;

use crate::bundle::{Bundle, Outcome, program};

fn run(command: &mut std::process::Command) -> Outcome {
    Outcome::of(command.output().unwrap())
}

/// The runtime with flags before the verb.
fn with_globals(bundle: &Bundle, globals: &[&str], args: &[&str]) -> Outcome {
    let mut command = std::process::Command::new(program());
    command.args(globals).arg("--root").arg(bundle.directory.join("state")).args(args).stdin(Stdio::null());
    run(&mut command)
}

#[test]
fn failures_go_to_the_log_in_its_format_and_to_standard_error() {
    let bundle = Bundle::new(&["nope"]);
    bundle.write();
    let log = bundle.directory.join("log");
    let (log_flag, directory) = (log.to_str().unwrap(), bundle.directory.to_str().unwrap());
    let words = r#"exec: "nope": executable file not found in $PATH"#;
    let json = ["--log", log_flag, "--log-format=json"];
    let failed = with_globals(&bundle, &json, &["create", "--bundle", directory, &bundle.id]);
    assert_eq!(failed.code, 1);
    assert!(failed.stderr.contains(words), "{failed:?}");
    let text = fs::read_to_string(&log).unwrap();
    let entry: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(entry["level"], "error");
    assert!(entry["msg"].as_str().unwrap().contains(words), "{entry}");
    assert!(entry["time"].as_str().unwrap().ends_with('Z'), "{entry}");
    with_globals(&bundle, &["-log", log_flag], &["state", &bundle.id]).bad();
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().count(), 2, "it is appended to: {text}");
    let last = text.lines().last().unwrap();
    assert!(
        last.starts_with("time=\"") && last.contains("\" level=error msg=\"container does not exist"),
        "{last}"
    );
    assert!(
        with_globals(&bundle, &["--log-format", "xml"], &["list"]).bad().contains("invalid log-format: xml")
    );
}

#[test]
fn warnings_go_to_the_log() {
    let hook = serde_json::json!([{"path": "/no/such/hook"}]);
    let bundle = Bundle::shell("true").set("/hooks/poststop", hook);
    bundle.write();
    let log = bundle.directory.join("log");
    let directory = bundle.directory.to_str().unwrap();
    let outcome = with_globals(
        &bundle,
        &["--log", log.to_str().unwrap(), "--log-format", "json"],
        &["run", "--bundle", directory, &bundle.id],
    );
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""), "{outcome:?}");
    let text = fs::read_to_string(&log).unwrap();
    let entry: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(entry["level"], "warning");
    assert!(entry["msg"].as_str().unwrap().contains("poststop"), "{entry}");
}

#[test]
fn the_version_can_be_taken_apart() {
    let bundle = Bundle::shell("true");
    let text = bundle.command(&["--version"]).good();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().contains("runc version "), "{text}");
    assert!(lines.next().unwrap().starts_with("commit: "), "{text}");
    assert!(lines.next().unwrap().starts_with("spec: 1."), "{text}");
}

#[test]
fn help_names_every_verb_and_flag() {
    let bundle = Bundle::shell("true");
    let help = bundle.command(&["--help"]).good();
    for verb in ["create", "start", "run", "exec", "kill", "delete", "list", "state", "features", "update"] {
        assert!(help.contains(&format!("\n  {verb} ")), "{help}");
    }
    assert_eq!(bundle.command(&["help"]).good(), help);
    let of_exec = bundle.command(&["exec", "--help"]).good();
    assert!(of_exec.contains("--console-socket"), "{of_exec}");
    assert_eq!(bundle.command(&["help", "exec"]).good(), of_exec);
    assert_eq!((bundle.command(&["help", "nope"]).code, bundle.command(&["nope"]).code), (3, 3));
    assert!(bundle.command(&["exec", "--nope"]).bad().contains("flag provided but not defined: -nope"));
    assert_eq!(bundle.command(&["exec", "--nope"]).code, 1);
}

#[test]
fn an_exec_that_can_not_be_is_no_exit_code_of_its_program() {
    let bundle = Bundle::shell("sleep 100");
    bundle.start();
    for (args, words) in [
        (&["nope"][..], "executable file not found in $PATH"),
        (&["/etc"], "is a directory"),
        (&["/etc/passwd"], "permission denied"),
        (&[], "exec args cannot be empty"),
    ] {
        let outcome = bundle.exec(args);
        assert_eq!(outcome.code, 255, "{outcome:?}");
        assert!(outcome.stderr.contains(words), "{outcome:?}");
    }
    assert_eq!(bundle.exec(&["sh", "-c", "exit 255"]).code, 255);
    let unused = bundle.command(&["exec", "--console-socket", "/no/such", "--detach", &bundle.id, "true"]);
    assert!(unused.bad().contains("cannot use console socket"));
}

#[test]
fn a_list_is_a_table_or_json() {
    let bundle = Bundle::shell("sleep 100").set("/annotations", serde_json::json!({"a": "b"}));
    assert!(
        bundle.command(&["list"]).bad().contains("no such file"),
        "a root that was asked for must be there"
    );
    let pid = bundle.start();
    let table = bundle.command(&["list"]).good();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]);
    let directory = bundle.directory.to_str().unwrap();
    assert_eq!(rows[1][..4], [bundle.id.as_str(), &pid.to_string(), "running", directory]);
    assert_eq!(rows[1][5], "root");
    let json: Value = serde_json::from_str(&bundle.command(&["list", "-f", "json"]).good()).unwrap();
    assert_eq!((&json[0]["owner"], &json[0]["annotations"]["a"]), (&"root".into(), &"b".into()));
    assert!(bundle.command(&["list", "--format", "yaml"]).bad().contains("invalid format option"));
}

#[test]
fn sockets_and_further_descriptors_reach_the_program() {
    let script = "echo $LISTEN_FDS $LISTEN_PID $$; cd /proc/self/fd; for fd in 3 4 5; do test -e $fd && echo $fd; done; \
                  cat <&4";
    let bundle = Bundle::shell(script);
    bundle.write();
    let inherit = "exec 3</dev/null 4<<E\ngiven\nE\nexport LISTEN_FDS=1 LISTEN_PID=$$; exec \"$@\"";
    let run_with = |more: &[&str]| {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", inherit, "sh"]).arg(program()).arg("--root").arg(bundle.directory.join("state"));
        command.arg("run").args(more).arg("--bundle").arg(&bundle.directory).arg(&bundle.id);
        run(command.stdin(Stdio::null()))
    };
    assert_eq!(run_with(&["--preserve-fds", "1"]).good(), "1 1 1\n3\n4\ngiven\n");
    let missing = run_with(&["--preserve-fds=2"]);
    assert!(missing.bad().contains("preserved-fd 2 (of 3)"));
}

/// Listens for one descriptor.
fn receive(listener: UnixListener) -> OwnedFd {
    let (stream, _) = listener.accept().unwrap();
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut name = [0u8; 64];
    let mut into = [IoSliceMut::new(&mut name)];
    rustix::net::recvmsg(&stream, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
    let fd = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    fd.unwrap()
}

fn pid_of(pidfd: &OwnedFd) -> String {
    use std::os::fd::AsRawFd;
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    text.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap().trim().to_owned()
}

#[test]
fn pidfds_are_sent_to_who_waits_for_them() {
    let bundle = Bundle::shell("sleep 100");
    bundle.write();
    let path = bundle.directory.join("s");
    let (socket, directory) = (path.to_str().unwrap(), bundle.directory.to_str().unwrap());
    let pid_file = bundle.directory.join("pid");
    let listen = || {
        std::thread::spawn({
            let _ = fs::remove_file(&path);
            let listener = UnixListener::bind(&path).unwrap();
            move || receive(listener)
        })
    };
    let wait = listen();
    let flags = ["run", "--detach", "--pidfd-socket", socket, "--bundle", directory, "--pid-file"];
    let mut command = bundle.runtime(&flags);
    command.arg(&pid_file).arg(&bundle.id).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
    assert_eq!(pid_of(&wait.join().unwrap()), fs::read_to_string(&pid_file).unwrap());
    let wait = listen();
    let mut command = bundle.runtime(&["exec", "--detach", "--pidfd-socket", socket, "--pid-file"]);
    command.arg(&pid_file).args([&bundle.id, "sleep", "100"]).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
    assert_eq!(pid_of(&wait.join().unwrap()), fs::read_to_string(&pid_file).unwrap());
}

#[test]
fn the_processors_of_an_exec_are_told_when_asked_for() {
    let first = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = first.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap().trim();
    let first: u32 = allowed.split([',', '-']).next().unwrap().parse().unwrap();
    let bundle = Bundle::shell("sleep 100")
        .set("/process/execCPUAffinity", serde_json::json!({"initial": first.to_string()}));
    bundle.start();
    let log = bundle.directory.join("log");
    with_globals(&bundle, &["--debug", "--log", log.to_str().unwrap()], &["exec", &bundle.id, "true"]).good();
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains(&format!("affinity: {:#x}", 1u64 << first)), "{text}");
}

#[test]
fn a_log_that_can_not_be_written_is_an_error() {
    let bundle = Bundle::shell("true");
    bundle.write();
    let place = bundle.directory.to_str().unwrap();
    for log in ["no/such/directory/log", place] {
        let log = bundle.directory.join(log);
        let error =
            with_globals(&bundle, &["--log", log.to_str().unwrap()], &["run", "-b", place, &bundle.id]).bad();
        assert!(error.contains("open log") && error.contains("directory"), "{error}");
    }
}

/// `BARGE_RUNTIME_SEALED` once was enough to leave the seal out.
#[test]
fn nobody_can_spare_the_runtime_its_seal() {
    let bundle = Bundle::shell("true");
    let seen = bundle.directory.join("seen");
    // A hook's parent is the runtime.
    let script = format!("readlink /proc/$PPID/exe > {}", seen.display());
    let bundle = bundle
        .set("/hooks/createRuntime", serde_json::json!([{"path": "/bin/sh", "args": ["sh", "-c", script]}]));
    bundle.write();
    for value in ["1", "0", ""] {
        let mut command =
            bundle.runtime(&["run", "--bundle", bundle.directory.to_str().unwrap(), &bundle.id]);
        run(command.env("BARGE_RUNTIME_SEALED", value)).good();
        // No path but the root of a mount that is nowhere.
        assert_eq!(fs::read_to_string(&seen).unwrap(), "/\n");
    }
}

/// What an initial ramdisk needs; here it is enough that the root is the container's own and procfs that of its processes.
#[test]
fn a_root_can_be_entered_without_pivot_root() {
    let bundle =
        Bundle::shell("cat /marker; echo $$; readlink /proc/1/exe; ls -a / | grep -c home; cd ..; pwd");
    fs::write(bundle.rootfs().join("marker"), "inside\n").unwrap();
    bundle.write();
    let directory = bundle.directory.to_str().unwrap();
    let args = ["run", "--no-pivot", "--no-new-keyring", "--bundle", directory, &bundle.id];
    assert_eq!(bundle.command(&args).good(), "inside\n1\n/bin/busybox\n1\n/\n");
    assert!(std::path::Path::new("/proc/self").exists(), "the host's procfs is untouched");
}
