//! A user who has got a cgroup to make others in.

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::json;

use super::{Own, USER};
use crate::bundle::Outcome;

/// A directory of the user's in each hierarchy of version 1, or in the one of version 2.
struct Delegated(Vec<PathBuf>);

impl Delegated {
    fn make(name: &str) -> Self {
        let root = Path::new("/sys/fs/cgroup");
        let mut hierarchies = vec![root.to_owned()];
        if !unified() {
            let entries = fs::read_dir(root).unwrap().map(|entry| entry.unwrap());
            // Links are other names of the same.
            hierarchies = entries
                .filter(|entry| entry.file_type().unwrap().is_dir())
                .map(|entry| entry.path())
                .filter(|path| path.join("tasks").exists())
                .collect();
        }
        let own = Self(hierarchies.iter().map(|hierarchy| hierarchy.join(name)).collect());
        for (hierarchy, directory) in hierarchies.iter().zip(&own.0) {
            fs::create_dir(directory).unwrap();
            for file in ["", "cgroup.procs", "tasks", "cgroup.subtree_control", "cgroup.threads"] {
                if directory.join(file).exists() {
                    chown(directory.join(file), Some(USER), Some(USER)).unwrap();
                }
            }
            // Version 1 lets nobody into a new cpuset before it has these.
            for file in ["cpuset.cpus", "cpuset.mems"] {
                if !unified() && directory.join(file).exists() {
                    fs::write(directory.join(file), fs::read(hierarchy.join(file)).unwrap()).unwrap();
                }
            }
        }
        own
    }

    /// Version 2 lets a user move nobody from outside into their part. A group with others in it has no processes.
    fn admit(&self, pid: u32) {
        if unified() {
            fs::create_dir(self.0[0].join("caller")).unwrap();
            fs::write(self.0[0].join("caller/cgroup.procs"), pid.to_string()).unwrap();
        }
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        for directory in &self.0 {
            for name in ["own", "caller", ""] {
                let _ = fs::remove_dir(directory.join(name));
            }
        }
    }
}

fn unified() -> bool {
    Path::new("/sys/fs/cgroup/cgroup.procs").exists()
}

/// The kernel lets no user restrict devices, whether the specification says something of them or not.
#[test]
fn device_rules_are_not_missed_in_a_named_group() {
    let rules = json!({"devices": [{"allow": false, "access": "rwm"}]});
    for resources in [json!({}), rules] {
        let script = "head -c 3 /dev/zero | wc -c; cat /proc/self/cgroup";
        let Some(mut own) = Own::shell(script) else { return };
        // Its root, seen from inside, is where it is.
        own.bundle.spec["linux"]["namespaces"]
            .as_array_mut()
            .unwrap()
            .retain(|kind| kind["type"] != "cgroup");
        let name = format!("barge-user-{}", own.bundle.id);
        let own =
            own.set("/linux/resources", resources).set("/linux/cgroupsPath", json!(format!("/{name}/own")));
        own.bundle.write();
        let groups = Delegated::make(&name);
        // It waits until it is where it may make the container's group.
        let mut command = Command::new("sh");
        command.args(["-c", "read go && exec \"$0\" \"$@\""]).arg(&own.program).arg("--root");
        command.arg(own.bundle.directory.join("state")).args(["run", &own.bundle.id]);
        command.uid(USER).gid(USER).current_dir(&own.bundle.directory);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        groups.admit(child.id());
        child.stdin.take().unwrap().write_all(b"go\n").unwrap();
        let text = Outcome::of(child.wait_with_output().unwrap()).good();
        assert!(text.starts_with("3\n") && text.contains(&format!(":/{name}/own\n")), "{text}");
    }
}
