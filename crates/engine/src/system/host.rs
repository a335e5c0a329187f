//! What the host is: kernel, operating system, processors, memory, control groups. Read from `/proc`, `/sys` and
//! `/etc` each time; nothing that can't be read is an error.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const CGROUP: &str = "/sys/fs/cgroup";

/// Where os-release(5) is looked for, in this order.
const OS_RELEASE: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// The name and version of the operating system.
pub(super) struct OperatingSystem {
    pub(super) name: String,
    pub(super) version: String,
}

/// Which limits the kernel can set on a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) memory: bool,
    pub(super) swap: bool,
    pub(super) oom_kill_disable: bool,
    pub(super) cpu_shares: bool,
    pub(super) cpu_quota: bool,
    pub(super) cpuset: bool,
    pub(super) pids: bool,
}

/// Whether containers live in the unified hierarchy (cgroup v2).
pub fn cgroup_is_unified() -> bool {
    Path::new(CGROUP).join("cgroup.controllers").exists()
}

pub(super) fn limits() -> Limits {
    if cgroup_is_unified() { unified_limits() } else { legacy_limits() }
}

fn unified_limits() -> Limits {
    let controllers = fs::read_to_string(Path::new(CGROUP).join("cgroup.controllers")).unwrap_or_default();
    let has = |name: &str| controllers.split_whitespace().any(|controller| controller == name);
    Limits {
        memory: has("memory"),
        // The root has no such file; a kernel with swap accounting has the line in /proc/swaps' place.
        swap: has("memory") && Path::new("/proc/swaps").exists(),
        oom_kill_disable: false,
        cpu_shares: has("cpu"),
        cpu_quota: has("cpu"),
        cpuset: has("cpuset"),
        pids: has("pids"),
    }
}

fn legacy_limits() -> Limits {
    let has = |file: &str| Path::new(CGROUP).join(file).exists();
    Limits {
        memory: has("memory/memory.limit_in_bytes"),
        swap: has("memory/memory.memsw.limit_in_bytes"),
        oom_kill_disable: has("memory/memory.oom_control"),
        cpu_shares: has("cpu/cpu.shares"),
        cpu_quota: has("cpu/cpu.cfs_quota_us"),
        cpuset: has("cpuset/cpuset.cpus"),
        // The root of the hierarchy has no pids.max.
        pids: has("pids/cgroup.procs"),
    }
}

pub(super) fn kernel() -> String {
    first_line("/proc/sys/kernel/osrelease")
}

pub(super) fn hostname() -> String {
    first_line("/proc/sys/kernel/hostname")
}

pub(super) fn ipv4_forwarding() -> bool {
    first_line("/proc/sys/net/ipv4/ip_forward") == "1"
}

/// Bytes.
pub(super) fn memory() -> i64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|rest| rest.split_whitespace().next()?.parse::<i64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

pub(super) fn processors() -> i64 {
    let online = first_line("/sys/devices/system/cpu/online");
    count_ranges(&online).unwrap_or_else(|| {
        std::thread::available_parallelism().map_or(1, |count| i64::try_from(count.get()).unwrap_or(i64::MAX))
    })
}

/// How many numbers `0-3,8` names.
fn count_ranges(text: &str) -> Option<i64> {
    text.split(',').try_fold(0, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (i64, i64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        (last >= first).then(|| sum + last - first + 1)
    })
}

pub(super) fn operating_system() -> OperatingSystem {
    let text = OS_RELEASE.iter().find_map(|path| fs::read_to_string(path).ok()).unwrap_or_default();
    let mut fields = os_release(&text);
    let mut field = |name: &str| fields.remove(name).unwrap_or_default();
    let pretty = field("PRETTY_NAME");
    OperatingSystem {
        name: if pretty.is_empty() { "Linux".to_owned() } else { pretty },
        version: field("VERSION_ID"),
    }
}

/// The fields of os-release(5).
fn os_release(text: &str) -> BTreeMap<String, String> {
    let field = |line: &str| {
        let (name, value) = line.trim().split_once('=')?;
        let value = value.trim_matches(['"', '\'']).replace("\\", "");
        (!name.starts_with('#')).then(|| (name.to_owned(), value))
    };
    text.lines().filter_map(field).collect()
}

/// The file system a directory is on, as Docker names it.
pub(super) fn filesystem(path: &Path) -> String {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    match mounted_at(&table, path) {
        Some("ext2" | "ext3" | "ext4") => "extfs".to_owned(),
        Some(name) => name.to_owned(),
        None => "<unknown>".to_owned(),
    }
}

/// The type of the mount that holds `path`, by proc_pid_mountinfo(5). Of mounts at one place the last is on top.
fn mounted_at<'t>(table: &'t str, path: &Path) -> Option<&'t str> {
    let mounts = table.lines().filter_map(|line| {
        let (place, source) = line.split_once(" - ")?;
        Some((place.split(' ').nth(4)?, source.split(' ').next()?))
    });
    mounts
        .filter(|(place, _)| path.starts_with(place))
        .max_by_key(|(place, _)| place.len())
        .map(|(_, kind)| kind)
}

/// How many entries a directory has, for descriptors and threads under `/proc/self`.
pub(super) fn entries(path: &str) -> i64 {
    fs::read_dir(path).map_or(0, |entries| i64::try_from(entries.count()).unwrap_or(i64::MAX))
}

/// The machine as `uname -m` says it.
pub(super) fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "x86" => "i686",
        "arm" => "armv7l",
        other => other,
    }
}

/// The machine as Go and image manifests say it.
pub(super) fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

fn first_line(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_ranges() {
        for (text, expected) in
            [("0", Some(1)), ("0-3,8", Some(5)), ("0-1,3-3", Some(3)), ("", None), ("3-1", None)]
        {
            assert_eq!(count_ranges(text), expected, "{text}");
        }
    }

    #[test]
    fn os_release_fields() {
        let fields =
            os_release("# NAME=no\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID='12'\n\nX");
        assert_eq!(fields["PRETTY_NAME"], "Debian GNU/Linux 12 (bookworm)");
        assert_eq!((fields["VERSION_ID"].as_str(), fields.len()), ("12", 2));
    }

    #[test]
    fn the_deepest_mount_holds_a_path() {
        let table = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /var rw shared:1 - xfs /dev/sdb rw\n\
                     3 1 0:6 / /variable rw - tmpfs tmpfs rw\n4 2 0:7 / /var rw - btrfs /dev/sdc rw\n";
        assert_eq!(mounted_at(table, Path::new("/var/lib/barge")), Some("btrfs"));
        assert_eq!(mounted_at(table, Path::new("/srv")), Some("ext4"));
        assert_eq!(mounted_at("", Path::new("/srv")), None);
    }

    #[test]
    fn this_host_is_described() {
        assert!(
            memory() > 0 && processors() > 0 && !kernel().is_empty() && !operating_system().name.is_empty()
        );
    }
}
