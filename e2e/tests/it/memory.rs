//! What a process of the one binary has resident: the functions that it uses lie together (`cargo xtask layout`).

use std::process::{Command, Stdio};

use barge_e2e::{binary, busybox_archive, run};
use serde_json::Value;

/// In KiB. Where the compiler leaves them, the pages around the functions make it 3,100; together it is 1,900.
const MOST: u64 = 2560;

/// Ends the container also after a failure.
struct Container {
    state: String,
}

impl Container {
    fn runtime(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(["runtime", "--root", &self.state]).args(arguments).stdin(Stdio::null());
        command
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.runtime(&["delete", "--force", "small"]).status();
    }
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the layout was made for x86-64")]
fn a_container_that_waits_for_its_start_is_small() {
    let directory = tempfile::Builder::new().prefix("bm-").tempdir_in("/var/tmp").expect("make a directory");
    let bundle = directory.path().join("bundle");
    std::fs::create_dir_all(bundle.join("rootfs")).expect("make a bundle");
    let (archive, rootfs) = (busybox_archive().to_string_lossy(), bundle.join("rootfs"));
    run(Command::new("tar").args(["-xf", archive.as_ref(), "-C"]).arg(&rootfs), b"").ok();
    run(Command::new(binary()).args(["runtime", "spec"]).current_dir(&bundle), b"").ok();
    let config = std::fs::read(bundle.join("config.json")).expect("read the configuration");
    let mut config: Value = serde_json::from_slice(&config).expect("it is JSON");
    config["process"]["terminal"] = false.into();
    config["linux"]["cgroupsPath"] = format!("/barge-test/small-{}", std::process::id()).into();
    std::fs::write(bundle.join("config.json"), config.to_string()).expect("write the configuration");

    let container = Container { state: directory.path().join("state").to_string_lossy().into_owned() };
    let mut create = container.runtime(&["create", "--bundle", &bundle.to_string_lossy(), "small"]);
    // Its streams are the container's, which would hold pipes open.
    let created = create.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("start the runtime");
    assert!(created.success());
    let state = run(&mut container.runtime(&["state", "small"]), b"");
    let state: Value = serde_json::from_str(&state.text()).expect("the state is JSON");
    let status = std::fs::read_to_string(format!("/proc/{}/status", state["pid"])).expect("read its status");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("it has a peak");
    let peak: u64 =
        line.split_whitespace().nth(1).and_then(|peak| peak.parse().ok()).expect("the peak is a number");
    assert!(
        peak <= MOST,
        "{peak} KiB; if the compiler or the code has changed much, `cargo xtask layout` renews the order"
    );
}
