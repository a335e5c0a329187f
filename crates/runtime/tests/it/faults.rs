//! Every step of a command fails, or its process or the container's is killed there: nothing hangs, a failure is never
//! passed off as a success, and `delete --force` leaves nothing of the container.
//!
//! The walks go through every system call. That takes minutes, so that a usual run takes only some of them; with
//! `BARGE_FAULTS=all` it takes all, with `BARGE_FAULTS=7` every seventh, and says how many there were.

mod checkpoint;
mod containers;
mod hardships;
mod systemd;
mod tracer;
mod verbs;
mod walks;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bundle::Bundle;

/// Whether a text has the container's name in it, and not one that only begins alike.
fn names(text: &str, bundle: &Bundle) -> bool {
    let mut rests = text.split(&bundle.id).skip(1);
    rests.any(|rest| !rest.starts_with(|next: char| next.is_ascii_digit()))
}

/// The mounts that this process sees and that have to do with the container.
fn mounts(bundle: &Bundle) -> Vec<String> {
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap();
    text.lines().filter(|line| names(line, bundle)).map(str::to_owned).collect()
}

/// Processes of the container or of a command about it: all of them have its name in their arguments.
fn processes(bundle: &Bundle) -> Vec<String> {
    let named = |entry: fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        names(&line, bundle).then(|| format!("{pid}: {}", line.replace('\0', " ")))
    };
    fs::read_dir("/proc").unwrap().flatten().filter_map(named).collect()
}

/// Directories with the container's name in any hierarchy.
fn cgroups(bundle: &Bundle) -> Vec<PathBuf> {
    let top = Path::new("/sys/fs/cgroup");
    let below = fs::read_dir(top).unwrap().flatten().map(|entry| entry.path());
    let places = below.chain([top.to_owned()]).map(|place| place.join(format!("barge-{}", bundle.id)));
    places.filter(|place| place.exists()).collect()
}

/// Files below `--root` that are not the seccomp cache's.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()) {
        match path.extension().is_some_and(|extension| extension == "bpf") {
            true => {}
            false if path.is_dir() && path.ends_with(".seccomp") => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Clears the container away and fails if anything is left of it: a mount, with which a namespace could be pinned too,
/// a cgroup, a file, a process.
fn assert_clears(bundle: &Bundle, after: &str) {
    let list = bundle.command(&["list", "--quiet"]);
    assert_eq!(list.code, 0, "list after {after}: {list:?}");
    let state = bundle.command(&["state", &bundle.id]);
    assert!(
        state.code == 0 || state.stderr.contains("does not exist") || state.stderr.contains("state.json"),
        "state after {after}: {state:?}"
    );
    let delete = bundle.command(&["delete", "--force", &bundle.id]);
    assert_eq!(delete.code, 0, "delete --force after {after}: {delete:?}");
    let state = bundle.command(&["state", &bundle.id]);
    assert!(state.stderr.contains("does not exist"), "after {after}: {state:?}");
    assert_eq!(files(&bundle.directory.join("state")), Vec::<PathBuf>::new(), "after {after}");
    assert_eq!(cgroups(bundle), Vec::<PathBuf>::new(), "after {after}");
    assert_eq!(mounts(bundle), Vec::<String>::new(), "after {after}");
    // Who was orphaned sees it by a closed channel, which takes as long as it takes to run again; so does systemd, which
    // takes an empty scope away by itself.
    let scope = crate::systemd::directory(bundle);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match processes(bundle) {
            left if left.is_empty() && !scope.exists() => return,
            left => {
                let scope = scope.exists().then_some(&scope);
                assert!(Instant::now() < deadline, "after {after}: {left:?}, {scope:?}");
            }
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
