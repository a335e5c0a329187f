//! Containers of a user without privileges: one mapped id, no cgroups, no devices.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bundle::{Bundle, Outcome, copy_program, program};

const USER: u32 = 54_321;

/// A bundle that belongs to the user, with a copy of the program where that user can reach it.
struct Own {
    bundle: Bundle,
    program: PathBuf,
}

impl Own {
    /// `None` where users may make no user namespaces. The reason is not captured.
    fn shell(script: &str) -> Option<Self> {
        let limit = fs::read_to_string("/proc/sys/kernel/unprivileged_userns_clone").unwrap_or("1".into());
        if limit.trim() == "0" {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                b"skipped: users may make no user namespaces here (kernel.unprivileged_userns_clone)\n",
            );
            return None;
        }
        let mut bundle = Bundle::shell(script);
        let mapping = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
        bundle.spec["linux"] = json!({
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"},
                           {"type": "cgroup"}, {"type": "user"}],
            "uidMappings": mapping, "gidMappings": mapping,
            "maskedPaths": ["/proc/keys"], "readonlyPaths": ["/proc/sys"]
        });
        for mount in bundle.spec["mounts"].as_array_mut().unwrap() {
            match mount["destination"].as_str().unwrap() {
                "/dev/pts" => mount["options"].as_array_mut().unwrap().retain(|option| option != "gid=5"),
                "/sys" => {
                    *mount = json!({"destination": "/sys", "type": "none", "source": "/sys",
                                    "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]});
                }
                _ => {}
            }
        }
        let copy = bundle.directory.join("runtime");
        // Where the user may not go to the original, a link has to do; between filesystems a copy.
        if fs::hard_link(program(), &copy).is_err() {
            copy_program(&program(), &copy);
            fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let own = Self { program: copy, bundle };
        // Only directories: programs may be links to the host's own.
        let directories =
            ["", "rootfs", "rootfs/dev", "rootfs/etc", "rootfs/proc", "rootfs/sys", "rootfs/tmp"];
        for directory in directories {
            chown(own.bundle.directory.join(directory), Some(USER), Some(USER)).unwrap();
        }
        Some(own)
    }

    fn set(mut self, pointer: &str, value: Value) -> Self {
        self.bundle = self.bundle.set(pointer, value);
        self
    }

    /// The runtime as that user.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.bundle.directory.join("state")).args(args);
        command.stdin(Stdio::null()).uid(USER).gid(USER).current_dir(&self.bundle.directory);
        command
    }

    fn outcome(&self, args: &[&str]) -> Outcome {
        Outcome::of(self.command(args).output().unwrap())
    }

    fn run(&self) -> Outcome {
        self.bundle.write();
        self.outcome(&["run", &self.bundle.id])
    }

    fn start(&self) -> i32 {
        self.bundle.write();
        let output = fs::File::create(self.bundle.directory.join("output")).unwrap();
        let mut command = self.command(&["run", "--detach", "--pid-file", "pid", &self.bundle.id]);
        let status = command.stdout(output.try_clone().unwrap()).stderr(output).status().unwrap();
        assert!(status.success(), "{}", self.bundle.output());
        fs::read_to_string(self.bundle.directory.join("pid")).unwrap().parse().unwrap()
    }
}

#[test]
fn a_user_runs_a_container_with_one_id() {
    let script = "id -u; id -g; cat /proc/self/uid_map /proc/self/setgroups; hostname; touch /tmp/made; \
                  stat -c %u /tmp/made; cat /dev/zero | head -c 3 | wc -c; echo $$; test -d /sys/kernel && echo sys";
    let Some(own) = Own::shell(script) else { return };
    let text = own.run().good();
    let words: Vec<&str> = text.split_whitespace().collect();
    let user = USER.to_string();
    assert_eq!(words[..6], ["0", "0", "0", user.as_str(), "1", "deny"], "{text}");
    assert_eq!(words[6..], ["inside", "0", "3", "1", "sys"], "{text}");
    assert!(!own.bundle.directory.join("state").join(&own.bundle.id).exists());
}

#[test]
fn processes_are_added_and_the_container_is_removed() {
    let Some(own) = Own::shell("sleep 100") else { return };
    let pid = own.start();
    let id = own.bundle.id.as_str();
    let namespace = fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    let text = own
        .outcome(&["exec", id, "sh", "-c", "id -u; readlink /proc/self/ns/user; readlink /proc/1/exe"])
        .good();
    assert_eq!(text, format!("0\n{}\n/bin/busybox\n", namespace.display()));
    assert!(own.outcome(&["state", id]).good().contains("\"running\""));
    own.outcome(&["delete", "--force", id]).good();
    assert!(own.outcome(&["state", id]).bad().contains("does not exist"));
}

#[test]
fn other_namespaces_go_with_the_users_own() {
    let Some(first) = Own::shell("sleep 100") else { return };
    let pid = first.start();
    let path = |kind: &str| json!({"type": kind, "path": format!("/proc/{pid}/ns/{kind}")});
    let Some(second) = Own::shell("id -u; hostname; ps | grep -c 'sleep 100$'") else { return };
    let namespaces = json!([{"type": "mount"}, path("pid"), path("ipc"), path("uts"), path("user")]);
    let mut second = second.set("/linux/namespaces", namespaces);
    second.bundle.spec.as_object_mut().unwrap().remove("hostname");
    assert_eq!(second.run().good(), "0\ninside\n1\n");

    let Some(clock) = Own::shell("grep -c 'boottime *77 ' /proc/self/timens_offsets") else { return };
    let clock = clock.set("/linux/timeOffsets", json!({"boottime": {"secs": 77}}));
    let mut clock = clock;
    clock.bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "time"}));
    assert_eq!(clock.run().good(), "1\n");
}

#[test]
fn cgroups_are_not_missed_unless_they_were_asked_for() {
    let Some(own) = Own::shell("test -d /sys/fs/cgroup && echo there") else { return };
    let with = |linux: &str, value: Value| Own::shell("true").unwrap().set(linux, value).run();
    let mut shared = own;
    shared.bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().retain(|kind| kind["type"] != "cgroup");
    assert_eq!(shared.run().good(), "there\n");
    with("/linux/resources", json!({"devices": [{"allow": false, "access": "rwm"}]})).good();
    let error = with("/linux/resources", json!({"pids": {"limit": 10}})).bad();
    assert!(error.contains("cannot set pids limit: container could not join or create cgroup"), "{error}");
    let error = with("/linux/cgroupsPath", json!("/barge-rootless")).bad();
    assert!(error.contains("permission denied"), "{error}");
}

#[test]
fn what_one_user_may_not_is_refused() {
    let Some(own) = Own::shell("true") else { return };
    let error = own.set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [0]})).run().bad();
    assert!(error.contains("set supplementary groups: operation not permitted"), "{error}");
    let Some(own) = Own::shell("true") else { return };
    let error = own.set("/linux/uidMappings/0/hostID", json!(0)).run().bad();
    assert!(error.contains("write uid_map of pid"), "{error}");
}

#[test]
fn the_written_specification_runs() {
    let Some(own) = Own::shell("true") else { return };
    own.outcome(&["spec", "--rootless"]).good();
    let file = own.bundle.directory.join("config.json");
    let mut spec: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(spec["linux"]["uidMappings"][0]["hostID"], USER);
    spec["process"]["args"] = json!(["/bin/id", "-u"]);
    spec["process"]["terminal"] = json!(false);
    fs::write(&file, spec.to_string()).unwrap();
    chown(&file, Some(USER), Some(USER)).unwrap();
    assert_eq!(own.outcome(&["run", &own.bundle.id]).good(), "0\n");
}
