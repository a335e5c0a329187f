//! What becomes of cgroups that containers, or others, have done something to. Hosts of either version.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::bundle::{Bundle, Outcome, program};

/// A container that may make groups below its own: it sees them as `/sys/fs/cgroup`, writable.
fn own_groups(script: &str) -> Bundle {
    let mut bundle = Bundle::shell(&format!(
        "base=/sys/fs/cgroup; test -e $base/cgroup.procs || base=/sys/fs/cgroup/freezer; {script}"
    ));
    let mounts = bundle.spec["mounts"].as_array_mut().unwrap();
    let view = mounts.iter_mut().find(|mount| mount["type"] == "cgroup").unwrap();
    view["options"] = json!(["nosuid", "noexec", "nodev"]);
    bundle.spec["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "cgroup"}));
    bundle
}

fn places(bundle: &Bundle) -> Vec<PathBuf> {
    let controllers = ["freezer", "memory", "pids", "cpu", "devices"];
    controllers.iter().map(|controller| bundle.cgroup(controller)).collect()
}

#[track_caller]
fn assert_gone(bundle: &Bundle) {
    for place in places(bundle) {
        assert!(!place.exists(), "{place:?}");
    }
}

#[track_caller]
fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn groups_that_a_container_has_made_go_with_it() {
    let bundle = own_groups(
        "mkdir -p $base/a/b/c $base/d; sleep 1000 & echo $! >$base/a/b/c/cgroup.procs; echo up; sleep 1000",
    );
    bundle.start();
    wait_for("it is up", || bundle.output().contains("up"));
    assert!(bundle.cgroup("freezer").join("a/b/c").exists(), "{}", bundle.output());
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert_gone(&bundle);
}

#[test]
fn a_container_that_makes_groups_while_it_is_deleted_is_no_obstacle() {
    let bundle = own_groups(
        "for lane in 1 2 3; do (i=0; while true; do i=$((i+1)); mkdir -p $base/$lane/$i/x/y/z; \
         (echo 0 >$base/$lane/$i/x/cgroup.procs; sleep 1000) & done) & done; \
         until test -d $base/3/5; do :; done; echo up; wait",
    )
    .set("/linux/resources/pids", json!({"limit": 200}));
    bundle.start();
    wait_for("it is up", || bundle.output().contains("up"));
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert_gone(&bundle);
}

#[test]
fn a_group_with_others_in_it_is_refused_and_left_alone() {
    let first = Bundle::shell("sleep 1000").set("/linux/resources/pids", json!({"limit": 17}));
    first.start();
    let second = Bundle::shell("true")
        .set("/linux/cgroupsPath", first.spec["linux"]["cgroupsPath"].clone())
        .set("/linux/resources/pids", json!({"limit": 3}));
    let error = second.run().bad();
    assert!(error.contains("container's cgroup is not empty: 1 process(es) found"), "{error}");
    assert_eq!(fs::read_to_string(first.cgroup("pids").join("pids.max")).unwrap().trim(), "17");
    assert_eq!(first.exec(&["echo", "up"]).good(), "up\n");
    first.command(&["delete", "--force", &first.id]).good();
    assert_gone(&first);
}

#[test]
fn an_empty_group_from_before_is_taken() {
    let bundle = Bundle::shell("echo up");
    for place in places(&bundle) {
        let _ = fs::create_dir(place);
    }
    assert_eq!(bundle.run().good(), "up\n");
    assert_gone(&bundle);
}

/// Without a pid namespace of its own a container's processes outlive the first of them.
#[test]
fn what_outlives_the_first_process_is_ended_with_the_container() {
    let script = "sleep 1000 & (trap '' TERM HUP; sleep 1000) & echo up";
    let shared = json!([{"type": "mount"}, {"type": "network"}, {"type": "uts"}, {"type": "ipc"}]);
    let bundle = Bundle::shell(script).set("/linux/namespaces", shared);
    let pid = bundle.start();
    wait_for("the first process ends", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    let left = || fs::read_to_string(bundle.cgroup("freezer").join("cgroup.procs")).unwrap_or_default();
    assert_ne!(left(), "");
    bundle.command(&["delete", &bundle.id]).good();
    assert_gone(&bundle);
}

#[test]
fn a_paused_container_gets_a_signal_and_stays_paused() {
    let bundle = Bundle::shell("trap 'echo told' USR1; echo up; while true; do sleep 0.1; done");
    bundle.start();
    wait_for("it is up", || bundle.output().contains("up"));
    bundle.command(&["pause", &bundle.id]).good();
    bundle.command(&["kill", "--all", &bundle.id, "USR1"]).good();
    assert!(bundle.command(&["state", &bundle.id]).good().contains("paused"));
    bundle.command(&["resume", &bundle.id]).good();
    wait_for("the signal arrives", || bundle.output().contains("told"));
    bundle.command(&["pause", &bundle.id]).good();
    bundle.command(&["kill", "--all", &bundle.id, "KILL"]).good();
    wait_for("it ends", || bundle.command(&["state", &bundle.id]).stdout.contains("stopped"));
    bundle.command(&["delete", &bundle.id]).good();
    assert_gone(&bundle);
}

/// A process that is only in the container's group, as one whose runtime was killed on the way into a container.
#[test]
fn who_was_left_in_the_group_is_ended_with_the_container() {
    let bundle = Bundle::shell("sleep 1000");
    bundle.start();
    let mut stray = Command::new("sleep").arg("1000").spawn().unwrap();
    fs::write(bundle.cgroup("memory").join("cgroup.procs"), stray.id().to_string()).unwrap();
    bundle.command(&["kill", &bundle.id, "KILL"]).good();
    wait_for("it ends", || bundle.command(&["state", &bundle.id]).stdout.contains("stopped"));
    let deleted = bundle.command(&["delete", &bundle.id]);
    let _ = stray.kill();
    stray.wait().unwrap();
    deleted.good();
    assert_gone(&bundle);
}

/// What is frozen does not die, and on version 1 nobody else thaws what a container has frozen in a group of its own.
#[test]
fn what_a_container_has_frozen_itself_dies_with_it() {
    let bundle = own_groups(
        "mkdir -p $base/a/b; sleep 1000 & echo $! >$base/a/b/cgroup.procs; \
         if test -e $base/a/cgroup.freeze; then echo 1 >$base/a/cgroup.freeze; \
         else echo FROZEN >$base/a/freezer.state; fi; echo up; sleep 1000",
    );
    bundle.start();
    wait_for("it is up", || bundle.output().contains("up"));
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert_gone(&bundle);
}

#[test]
fn a_frozen_group_from_before_is_refused() {
    let bundle = Bundle::shell("true");
    let group = bundle.cgroup("freezer");
    fs::create_dir(&group).unwrap();
    let files = [("cgroup.freeze", "1", "0"), ("freezer.state", "FROZEN", "THAWED")];
    let (file, stop, go) = files.into_iter().find(|(file, ..)| group.join(file).exists()).unwrap();
    fs::write(group.join(file), stop).unwrap();
    let error = bundle.run().bad();
    // It is empty, so whoever it is refused to may remove it.
    let _ = fs::write(group.join(file), go);
    let _ = fs::remove_dir(&group);
    assert!(error.contains("container's cgroup unexpectedly frozen"), "{error}");
    assert_gone(&bundle);
}

#[test]
fn what_can_not_be_removed_can_be_deleted_again() {
    let bundle = Bundle::shell("true");
    bundle.start();
    wait_for("it ends", || bundle.command(&["state", &bundle.id]).stdout.contains("stopped"));
    let inner = bundle.cgroup("freezer").join("inner");
    fs::create_dir(&inner).unwrap();
    // A mount point can't be removed where it is one, and can elsewhere.
    let script = "mount --make-rprivate / && mount -t tmpfs none $0 && exec \"$@\"";
    let delete = bundle.runtime(&["delete", &bundle.id]);
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(&inner).arg(delete.get_program()).args(delete.get_args());
    let error = Outcome::of(command.output().unwrap()).bad();
    assert!(error.contains("remove: device or resource busy"), "{error}");
    assert!(bundle.command(&["state", &bundle.id]).good().contains("stopped"));
    bundle.command(&["delete", &bundle.id]).good();
    assert_gone(&bundle);
}

/// Two thousand groups of others, and as many of its own.
#[test]
fn thousands_of_groups_are_no_obstacle() {
    const MANY: usize = 2000;
    let bundle = own_groups(&format!(
        "cd $base && mkdir $(seq {MANY}) && mkdir -p 7/x/y && cd / && echo up; sleep 1000"
    ));
    // Without controllers, which would be dear: what is looked at is the number of them.
    let neighbours = Neighbours::make(&bundle, MANY);
    let pid = bundle.start();
    wait_for("it is up", || bundle.output().contains("up"));
    assert_eq!(bundle.exec(&["echo", "there"]).good(), "there\n");
    assert!(bundle.command(&["list"]).good().contains("running"));
    let pids = bundle.command(&["ps", "--format", "json", &bundle.id]).good();
    assert!(pids.contains(&pid.to_string()), "{pids}");
    bundle.command(&["pause", &bundle.id]).good();
    assert!(bundle.command(&["state", &bundle.id]).good().contains("paused"));
    bundle.command(&["resume", &bundle.id]).good();
    bundle.command(&["events", "--stats", &bundle.id]).good();
    bundle.command(&["delete", "--force", &bundle.id]).good();
    assert_gone(&bundle);
    assert_eq!(neighbours.count(), MANY);
}

/// Groups beside a container's, in the hierarchy of the freezer or the one there is.
struct Neighbours(PathBuf);

impl Neighbours {
    fn make(bundle: &Bundle, count: usize) -> Self {
        let above = bundle.cgroup("freezer").with_file_name(format!("barge-beside-{}", bundle.id));
        fs::create_dir(&above).unwrap();
        let own = Self(above);
        (0..count).for_each(|number| fs::create_dir(own.0.join(number.to_string())).unwrap());
        own
    }

    fn groups(&self) -> impl Iterator<Item = PathBuf> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path())
    }

    fn count(&self) -> usize {
        self.groups().count()
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        self.groups().for_each(|group| drop(fs::remove_dir(group)));
        let _ = fs::remove_dir(&self.0);
    }
}

/// What a container costs does not depend on how many there are beside it: no directory above its own is listed.
#[test]
fn neighbours_are_not_looked_at() {
    if Command::new("strace").arg("-V").output().is_err() {
        let _ = writeln!(std::io::stderr(), "skipped: needs strace");
        return;
    }
    let bundle = Bundle::shell("true");
    let path = format!("/barge-neighbours-{}/{}", std::process::id(), bundle.id);
    let bundle = bundle.set("/linux/cgroupsPath", json!(path));
    bundle.write();
    let trace = bundle.directory.join("trace");
    let traced = |args: &[&str]| {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-y", "-e", "trace=getdents64", "-A", "-o"]).arg(&trace).arg(program());
        command.arg("--root").arg(bundle.directory.join("state")).args(args);
        Outcome::of(command.output().unwrap()).good();
    };
    traced(&["run", "--keep", "--bundle", bundle.directory.to_str().unwrap(), &bundle.id]);
    traced(&["delete", &bundle.id]);
    let parents = Parents(path.clone());
    let listed = fs::read_to_string(&trace).unwrap();
    let above = |line: &&str| {
        let folder =
            line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(folder, _)| folder);
        folder.is_some_and(|folder| folder.starts_with("/sys/fs/cgroup") && !folder.ends_with(&parents.0))
    };
    let found: Vec<&str> = listed.lines().filter(above).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// Removes the group above a container's, which stays when the container has gone.
struct Parents(String);

impl Drop for Parents {
    fn drop(&mut self) {
        let above = Path::new(&self.0).parent().unwrap().strip_prefix("/").unwrap().to_owned();
        let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(&above));
        for hierarchy in fs::read_dir("/sys/fs/cgroup").unwrap().flatten() {
            let _ = fs::remove_dir(hierarchy.path().join(&above));
        }
    }
}
