//! The containers that the walks lead, and what shows that one has all that was asked for.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::bundle::Bundle;

/// A container that runs until it is killed; the marker makes its processes known by their arguments.
pub(super) fn lasting() -> Bundle {
    of_script("trap 'exit 9' TERM; while :; do sleep 1000; done")
}

/// A container that ends soon and well.
pub(super) fn brief() -> Bundle {
    of_script("echo ran")
}

fn of_script(script: &str) -> Bundle {
    let bundle = Bundle::new(&[]);
    let script = format!("{script} # {}", bundle.id);
    let bundle = bundle.set("/process/args", json!(["sh", "-c", script]));
    bundle.write();
    bundle
}

/// A lasting container with what takes more steps: a user namespace, a filter, hooks, limits, an overlay.
pub(super) fn furnished() -> Bundle {
    let mut bundle = lasting();
    let ids = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
    let hook = json!([{"path": "/bin/true", "args": ["true", bundle.id]}]);
    let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    bundle.spec["hooks"] = kinds.iter().map(|kind| ((*kind).to_owned(), hook.clone())).collect();
    let linux = &mut bundle.spec["linux"];
    let namespaces = linux["namespaces"].as_array_mut().unwrap();
    namespaces.extend(["user", "cgroup", "time"].map(|kind| json!({"type": kind})));
    linux["uidMappings"] = ids.clone();
    linux["gidMappings"] = ids;
    linux["timeOffsets"] = json!({"boottime": {"secs": 7}});
    linux["sysctl"] = json!({"net.ipv4.ip_forward": "1"});
    linux["resources"]["pids"] = json!({"limit": 50});
    linux["resources"]["cpu"] = json!({"shares": 512});
    linux["seccomp"] = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_ERRNO"}]
    });
    let process = &mut bundle.spec["process"];
    process["noNewPrivileges"] = json!(true);
    process["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 100}]);
    process["user"]["additionalGids"] = json!([5, 6]);
    bundle.write();
    bundle
}

/// What one can see from outside of a container that runs its program: a call that failed in silence would show.
pub(super) fn looks(bundle: &Bundle) -> String {
    let pid = state(bundle)["pid"].as_i64().unwrap();
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
    await_that("program", || read("cmdline").starts_with("sh\0"));
    // What is left out differs from one container to the next.
    let mounts = read("mountinfo");
    let mounts = mounts.lines().map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        let tail = line.split_once(" - ").map_or("", |(_, tail)| tail);
        format!("{} {} {tail}\n", fields[4], fields[5])
    });
    let kept = ["Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:", "Seccomp:", "Seccomp_filters:", "NSpid:"];
    let status = read("status");
    let status = status.lines().filter(|line| kept.iter().any(|name| line.starts_with(name)));
    let status = status.map(|line| match line.split_once('\t') {
        // The host's number for it comes first.
        Some(("NSpid:", ids)) => format!("pids {:?}\n", ids.split('\t').skip(1).collect::<Vec<_>>()),
        _ => format!("{line}\n"),
    });
    // In other hierarchies somebody else may come and go.
    let cgroups = read("cgroup");
    let cgroups = cgroups.lines().filter(|line| line.contains(&bundle.id)).map(|line| format!("{line}\n"));
    let names = ["limits", "timens_offsets", "uid_map", "gid_map", "environ", "oom_score_adj"];
    mounts.chain(status).chain(cgroups).chain(names.map(read)).chain([namespaces(pid)]).collect()
}

/// Which namespaces are not those of the host.
fn namespaces(pid: i64) -> String {
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    let link = |pid: &str, kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
    let own = kinds.iter().filter(|kind| link(&pid.to_string(), kind) != link("self", kind));
    format!("{:?}", own.collect::<Vec<_>>())
}

pub(super) fn state(bundle: &Bundle) -> Value {
    serde_json::from_str(&bundle.command(&["state", &bundle.id]).good()).unwrap()
}

pub(super) fn status(bundle: &Bundle) -> String {
    state(bundle)["status"].as_str().unwrap().to_owned()
}

pub(super) fn await_that(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "no {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
