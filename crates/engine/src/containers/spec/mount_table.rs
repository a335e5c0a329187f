//! The mounts of a container in OCI's words: Docker's own, then what was asked for, parents before children.

use barge_api::containers::{HostConfig, MountPoint, MountType};
use barge_oci::runtime_spec::Mount;

use super::security::Security;
use crate::containers::document::MountRecord;

/// A file of the engine's that appears in every container.
#[derive(Clone, Debug)]
pub(crate) struct EtcFile<'a> {
    /// `/etc/hosts`, `/etc/hostname`, `/etc/resolv.conf`.
    pub(crate) destination: &'a str,
    pub(crate) source: String,
}

/// Where a container's mounts come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a> {
    pub(crate) host_config: &'a HostConfig,
    pub(crate) security: &'a Security,
    pub(crate) mounts: &'a [MountRecord],
    pub(crate) etc: &'a [EtcFile<'a>],
    /// The program of `--init`.
    pub(crate) init: Option<&'a str>,
}

const DEFAULTS: [(&str, &str, &str, &[&str]); 7] = [
    ("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
    ("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    (
        "/dev/pts",
        "devpts",
        "devpts",
        &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
    ),
    ("/sys", "sysfs", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
    ("/sys/fs/cgroup", "cgroup", "cgroup", &["ro", "nosuid", "noexec", "nodev"]),
    ("/dev/mqueue", "mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
    ("/dev/shm", "tmpfs", "shm", &["nosuid", "noexec", "nodev", "mode=1777"]),
];

/// The whole table, in the order in which it is mounted.
pub(crate) fn build(sources: Sources<'_>) -> Vec<Mount> {
    let asked: Vec<&str> = sources.mounts.iter().map(|mount| mount.point.destination.as_str()).collect();
    let mut table = defaults(sources, &asked);
    let mut others: Vec<Mount> = sources.mounts.iter().map(oci).collect();
    for file in sources.etc.iter().filter(|file| !asked.contains(&file.destination)) {
        let mut options = vec!["rbind".to_owned(), "rprivate".to_owned()];
        if sources.host_config.readonly_rootfs {
            options.push("ro".to_owned());
        }
        others.push(mount(file.destination, "bind", &file.source, options));
    }
    if let Some(init) = sources.init {
        let options = vec!["bind".to_owned(), "ro".to_owned()];
        others.push(mount(super::process::INIT_PATH, "bind", init, options));
    }
    // A parent must be there before what is mounted below it.
    others.sort_by_key(|mount| mount.destination().components().count());
    table.extend(others);
    table
}

fn mount(destination: &str, kind: &str, source: &str, options: Vec<String>) -> Mount {
    let mut mount = Mount::default();
    mount
        .set_destination(destination.into())
        .set_typ(Some(kind.to_owned()))
        .set_source(Some(source.into()))
        .set_options(Some(options));
    mount
}

/// Docker's own mounts, without those that something asked for takes the place of.
fn defaults(sources: Sources<'_>, asked: &[&str]) -> Vec<Mount> {
    let host_config = sources.host_config;
    let writable_cgroups = sources.security.writable_cgroups.unwrap_or(host_config.privileged);
    let ipc = host_config.ipc_mode.as_str();
    let mut table = Vec::new();
    for (destination, kind, source, options) in DEFAULTS {
        let below_own_dev = destination.starts_with("/dev/") && asked.contains(&"/dev");
        let no_shm = destination == "/dev/shm" && ipc == "none";
        if asked.contains(&destination) || below_own_dev || no_shm {
            continue;
        }
        let mut options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let writable = match destination {
            "/sys" => host_config.privileged,
            "/sys/fs/cgroup" => writable_cgroups,
            _ => false,
        };
        if writable {
            options.retain(|option| option != "ro");
        }
        if destination == "/dev/shm" {
            if ipc == "host" {
                table.push(mount(
                    destination,
                    "bind",
                    "/dev/shm",
                    vec!["rbind".to_owned(), "rprivate".to_owned()],
                ));
                continue;
            }
            options.push(format!("size={}", host_config.shm_size));
        }
        table.push(mount(destination, kind, source, options));
    }
    table
}

fn oci(record: &MountRecord) -> Mount {
    let point = &record.point;
    if let Some(filesystem) = &record.filesystem {
        let mut options = filesystem.options.clone();
        if !point.rw {
            options.push("ro".to_owned());
        }
        return mount(&point.destination, &filesystem.kind, &filesystem.device, options);
    }
    match point.kind {
        MountType::Tmpfs => mount(&point.destination, "tmpfs", "tmpfs", tmpfs_options(&record.tmpfs_options)),
        _ => mount(&point.destination, "bind", &record.path(), bind_options(point, record)),
    }
}

fn bind_options(point: &MountPoint, record: &MountRecord) -> Vec<String> {
    let mut options = vec![if record.bind.non_recursive { "bind" } else { "rbind" }.to_owned()];
    if !point.rw {
        let recursive = !record.bind.read_only_non_recursive;
        options.push(if recursive { "rro" } else { "ro" }.to_owned());
    }
    if !point.propagation.is_empty() {
        options.push(point.propagation.clone());
    }
    options
}

/// Docker's options for a tmpfs, with the asked for ones; of two that exclude each other the later one counts.
fn tmpfs_options(asked: &str) -> Vec<String> {
    const OPPOSITES: [(&str, &str); 5] =
        [("exec", "noexec"), ("suid", "nosuid"), ("dev", "nodev"), ("rw", "ro"), ("atime", "noatime")];
    let excludes = |new: &str, old: &str| {
        let opposite = OPPOSITES.iter().any(|(a, b)| (new, old) == (*a, *b) || (new, old) == (*b, *a));
        let same_key = new.split_once('=').is_some_and(|(key, _)| old.split('=').next() == Some(key));
        opposite || same_key || new == old
    };
    let mut options: Vec<String> = ["noexec", "nosuid", "nodev", "rprivate"].map(str::to_owned).to_vec();
    for word in asked.split(',').filter(|word| !word.is_empty()) {
        options.retain(|old| !excludes(word, old));
        options.push(word.to_owned());
    }
    options
}

/// What the root's propagation must be for the asked for mounts to propagate: `shared` or `slave` mounts need a
/// root that is as open as they are.
pub(crate) fn rootfs_propagation(mounts: &[MountRecord]) -> Option<&'static str> {
    let any = |words: [&str; 2]| mounts.iter().any(|mount| words.contains(&mount.point.propagation.as_str()));
    if any(["shared", "rshared"]) {
        Some("shared")
    } else if any(["slave", "rslave"]) {
        Some("rslave")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(kind: MountType, source: &str, destination: &str, rw: bool) -> MountRecord {
        let point = MountPoint {
            kind,
            source: source.to_owned(),
            destination: destination.to_owned(),
            rw,
            propagation: "rprivate".to_owned(),
            ..MountPoint::default()
        };
        MountRecord { point, ..MountRecord::default() }
    }

    fn table(host_config: &HostConfig, mounts: &[MountRecord]) -> Vec<Mount> {
        let etc = [EtcFile { destination: "/etc/hosts", source: "/d/hosts".to_owned() }];
        let security = Security::default();
        build(Sources { host_config, security: &security, mounts, etc: &etc, init: None })
    }

    fn find<'a>(table: &'a [Mount], destination: &str) -> Option<&'a Mount> {
        table.iter().find(|mount| mount.destination().to_str() == Some(destination))
    }

    fn options(mount: &Mount) -> Vec<&str> {
        mount.options().iter().flatten().map(String::as_str).collect()
    }

    #[test]
    fn asked_for_mounts_take_the_place_of_the_defaults() {
        let mounts = [
            record(MountType::Bind, "/h", "/etc/hosts", true),
            record(MountType::Bind, "/h/a", "/a/b", false),
            record(MountType::Bind, "/h/b", "/a", true),
            record(MountType::Bind, "/h/dev", "/dev", true),
        ];
        let table = table(&HostConfig::default(), &mounts);
        assert_eq!(find(&table, "/etc/hosts").unwrap().source().as_deref(), Some("/h".as_ref()));
        assert!(find(&table, "/dev/pts").is_none() && find(&table, "/proc").is_some());
        let at = |path| table.iter().position(|mount| mount.destination().to_str() == Some(path)).unwrap();
        assert!(at("/a") < at("/a/b"));
        assert_eq!(options(find(&table, "/a/b").unwrap()), ["rbind", "rro", "rprivate"]);
    }

    #[test]
    fn ipc_and_privilege_change_the_defaults() {
        let host_config = HostConfig { shm_size: 1024, ..HostConfig::default() };
        assert!(options(find(&table(&host_config, &[]), "/dev/shm").unwrap()).contains(&"size=1024"));
        let none = HostConfig { ipc_mode: "none".to_owned(), ..HostConfig::default() };
        assert!(find(&table(&none, &[]), "/dev/shm").is_none());
        let privileged = HostConfig { privileged: true, ..HostConfig::default() };
        let table = table(&privileged, &[]);
        assert!(!options(find(&table, "/sys").unwrap()).contains(&"ro"));
        assert!(!options(find(&table, "/sys/fs/cgroup").unwrap()).contains(&"ro"));
    }

    #[test]
    fn tmpfs() {
        assert_eq!(tmpfs_options(""), ["noexec", "nosuid", "nodev", "rprivate"]);
        assert_eq!(
            tmpfs_options("rw,exec,size=1k,size=2k"),
            ["nosuid", "nodev", "rprivate", "rw", "exec", "size=2k"]
        );
    }
}
