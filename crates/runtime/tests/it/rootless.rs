//! Containers of a user without privileges: one mapped id, no cgroups, no devices.

mod delegated;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::fs::SealFlags;
use serde_json::{Value, json};

use crate::bundle::{Bundle, Outcome, copy_program, program};
use crate::checkpoint::eventually;

pub(crate) const USER: u32 = 54_321;

/// A bundle that belongs to the user, with a copy of the program where that user can reach it.
pub(crate) struct Own {
    pub(crate) bundle: Bundle,
    pub(crate) program: PathBuf,
}

impl Own {
    /// `None` where users may make no user namespaces. The reason is not captured.
    pub(crate) fn shell(script: &str) -> Option<Self> {
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
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--root").arg(self.bundle.directory.join("state")).args(args);
        command.stdin(Stdio::null()).uid(USER).gid(USER).current_dir(&self.bundle.directory);
        command
    }

    pub(crate) fn outcome(&self, args: &[&str]) -> Outcome {
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

/// CVE-2019-5736 where the runtime's file belongs to the very user who is root inside: who may not mount it read-only
/// runs a sealed copy.
#[test]
fn what_enters_a_container_is_a_copy_that_nobody_can_write() {
    let Some(own) = Own::shell("sleep 100") else { return };
    own.start();
    let id = own.bundle.id.as_str();
    let mut child = own.command(&["exec", id, "sh", "-c", "touch /tmp/up; sleep 100"]).spawn().unwrap();
    eventually("no program", || own.bundle.rootfs().join("tmp/up").exists());
    let program = fs::File::open(format!("/proc/{}/exe", child.id())).unwrap();
    let seals = rustix::fs::fcntl_get_seals(&program).unwrap();
    assert!(
        seals.contains(SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL),
        "{seals:?}"
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let script = own.bundle.rootfs().join("tmp/script");
    fs::write(&script, "#!/proc/self/exe features\n").unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    // It is the copy that interprets a script of the image, and that runs as well as the file.
    assert!(own.outcome(&["exec", id, "/tmp/script"]).stderr.contains("features"));
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

/// As Podman calls us for a user: there is a user namespace already, and the containers are in it.
#[test]
fn root_of_a_user_namespace_has_containers_in_it() {
    let among = |script: &str, kinds: Vec<Value>| {
        let mut own = Own::shell(script)?;
        let linux = own.bundle.spec["linux"].as_object_mut().unwrap();
        linux.remove("uidMappings");
        linux.remove("gidMappings");
        linux["namespaces"] = kinds.into();
        Some(own)
    };
    let new = |kind: &str| json!({"type": kind});
    let Some(first) = among("sleep 100", vec![new("mount"), new("pid"), new("ipc"), new("uts")]) else {
        return;
    };
    // Without the host's pids and clocks to come back to.
    let joined = json!({"type": "pid", "path": "/proc/PID/ns/pid"});
    let Some(second) =
        among("ps | grep -c 'sleep 100$'; sleep 50", vec![new("mount"), joined, new("ipc"), new("time")])
    else {
        return;
    };
    let mut second = second.set("/linux/timeOffsets", json!({"boottime": {"secs": 77}}));
    second.bundle.spec["root"]["path"] = json!(second.bundle.rootfs());
    second.bundle.spec.as_object_mut().unwrap().remove("hostname");
    for own in [&first, &second] {
        own.bundle.write();
    }
    let script = r#"
        export XDG_RUNTIME_DIR=$PWD
        unset USER
        "$1" run --detach --pid-file pid "$2" > output 2>&1 || { cat output; exit 1; }
        "$1" exec "$2" sh -c 'id -u; hostname; readlink /proc/1/exe'
        mkdir second
        sed "s|/proc/PID/|/proc/$(cat pid)/|" "$3/config.json" > second/config.json
        "$1" run --detach --bundle second "$4" > output2 2>&1 || { cat output2; exit 1; }
        "$1" exec "$4" sh -c "grep -c 'boottime *77 ' /proc/self/timens_offsets; ps | grep -c 'sleep [15]0'"
        until grep -q . output2; do sleep 0.1; done
        cat output2
        ls barge/runtime
        "$1" delete --force "$4" && "$1" delete --force "$2" && ls barge/runtime"#;
    let (one, other) = (&first.bundle, &second.bundle);
    let output = Command::new("unshare")
        .args(["-U", "-r", "sh", "-ec", script, "sh"])
        .arg(&first.program)
        .arg(&one.id)
        .arg(&other.directory)
        .arg(&other.id)
        .current_dir(&one.directory)
        .stdin(Stdio::null())
        .uid(USER)
        .gid(USER)
        .output()
        .unwrap();
    let mut names = [one.id.as_str(), other.id.as_str()];
    names.sort_unstable();
    let expected = format!("0\ninside\n/bin/busybox\n1\n2\n1\n{}\n{}\n", names[0], names[1]);
    assert_eq!(Outcome::of(output).good(), expected);
}

#[test]
fn ranges_that_a_user_was_given_are_mapped() {
    if Command::new("newuidmap").output().is_err() {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: needs newuidmap (scripts/install-packages test)\n",
        );
        return;
    }
    let script = "cat /proc/self/uid_map /proc/self/gid_map; touch /tmp/made; chown 7:8 /tmp/made";
    let Some(own) = Own::shell(script) else { return };
    let maps = json!([{"containerID": 0, "hostID": USER, "size": 1},
                      {"containerID": 1, "hostID": 700_000, "size": 1000}]);
    let own = own.set("/linux/uidMappings", maps.clone()).set("/linux/gidMappings", maps);
    own.bundle.write();
    // The host's own files are not to be touched: newuidmap sees others in their place.
    let names = format!("root:x:0:0::/:/bin/sh\nranged:x:{USER}:{USER}::/:/bin/sh\n");
    fs::write(own.bundle.directory.join("passwd"), names).unwrap();
    let ranged = "for file in passwd:/etc/passwd ranges:/etc/subuid ranges:/etc/subgid; do \
                    mount --bind ${file%:*} ${file#*:}; done
                  user=$1; shift; exec setpriv --reuid $user --regid $user --clear-groups \"$@\"";
    let run = |ranges: &str| {
        fs::write(own.bundle.directory.join("ranges"), ranges).unwrap();
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-ec", ranged, "sh", &USER.to_string()]).arg(&own.program);
        command.args(["--root", "state", "run", &own.bundle.id]).current_dir(&own.bundle.directory);
        Outcome::of(command.stdin(Stdio::null()).output().unwrap())
    };
    let text = run("ranged:700000:1000\n").good();
    let numbers: Vec<&str> = text.split_whitespace().collect();
    let user = USER.to_string();
    let map = ["0", user.as_str(), "1", "1", "700000", "1000"];
    assert_eq!(numbers, [map, map].concat());
    let made = fs::metadata(own.bundle.rootfs().join("tmp/made")).unwrap();
    assert_eq!((made.uid(), made.gid()), (700_006, 700_007));
    let refused = run("ranged:700000:999\n").bad();
    assert!(refused.contains("newuidmap") && refused.contains("not allowed"), "{refused}");
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

/// What nobody can know is not taken for nothing.
#[test]
fn without_a_cgroup_nobody_knows_a_containers_processes() {
    let Some(own) = Own::shell("sleep 100 & sleep 100") else { return };
    own.start();
    let id = own.bundle.id.as_str();
    if own.outcome(&["ps", "--format", "json", id]).code == 0 {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: users have cgroups here\n");
        return;
    }
    for command in [&["ps", id][..], &["kill", "--all", id, "TERM"]] {
        let error = own.outcome(command).bad();
        assert!(error.contains("unable to get all container pids"), "{command:?}: {error}");
    }
    assert!(own.outcome(&["state", id]).good().contains("\"running\""));
    // But all of them end with the first one.
    own.outcome(&["kill", "--all", id, "KILL"]).good();
    eventually("still running", || own.outcome(&["state", id]).good().contains("\"stopped\""));
}
