//! Mounts and namespaces of a container that are not its own: an image only has a name for each.
//!
//! ```text
//!                                dump: point in the container ─> name   restore: name ─> source
//! bind (a mount below it too)    where it really is ─> destination      destination ─> source
//! file masked by the null device its place ─> /dev/null                 /dev/null ─> /dev/null
//! device bound from the host     its path ─> its path                   its path ─> its path
//! cgroups bound from the host    their place ─> their place             their place ─> our directories
//! net, pid namespace by path     its inode ─> extRootNetNS …            extRootNetNS … ─> descriptor
//! ```
//!
//! At the dump the kernel is asked what is where, because a destination may lead through symbolic links. Pure but for
//! the one question where a bind is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::mount_table::Mounted;
use super::rpc::ExternalMount;
use crate::cgroup::Layout;
use crate::plan::mount::{MountKind, MountPlan};

/// The host's null device, which hides files.
const NULL: &str = "/dev/null";

/// A bind of the specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bind<'a> {
    pub(super) destination: &'a Path,
    pub(super) source: PathBuf,
    /// The mount in the container, if it was found.
    pub(super) id: Option<u64>,
}

impl<'a> Bind<'a> {
    /// The binds among `mounts`. `locate` tells which mount is at a destination.
    pub(super) fn all(
        mounts: &'a [MountPlan],
        bundle: &Path,
        locate: impl Fn(&Path) -> Option<u64>,
    ) -> Vec<Self> {
        let bind = |mount: &'a MountPlan| match &mount.kind {
            MountKind::Bind { source, .. } => Some(Self {
                destination: &mount.destination,
                source: bundle.join(source),
                id: locate(&mount.destination),
            }),
            _ => None,
        };
        mounts.iter().filter_map(bind).collect()
    }
}

/// What a container sees of the host's control groups.
#[derive(Debug)]
pub(super) struct Cgroups<'a> {
    pub(super) layout: &'a Layout,
    /// The container's path in them.
    pub(super) path: &'a Path,
    /// Whether it has a cgroup namespace: its mounts are its own then.
    pub(super) private: bool,
}

/// What a dump is told: `container` are the mounts to be saved, `host` those of our own namespace.
pub(super) fn of_dump(
    container: &[Mounted],
    host: &[Mounted],
    binds: &[Bind<'_>],
    devices: &[PathBuf],
    cgroups: &Cgroups<'_>,
) -> Vec<ExternalMount> {
    let device_filesystem = filesystem_of(host, Path::new(NULL));
    let name = |mount: &Mounted| {
        if let Some(bind) = binds.iter().find(|bind| bind.id == Some(mount.id)) {
            return Some(bind.destination.to_owned());
        }
        if let Some(name) = below_bind(mount, container, host, binds) {
            return Some(name);
        }
        if device_filesystem == Some(mount.device.as_str()) && mount.root != Path::new("/") {
            let null = mount.root.file_name() == Path::new(NULL).file_name();
            let device = devices.iter().find(|path| **path == mount.point).cloned();
            return device.or(null.then(|| NULL.into()));
        }
        let of_cgroups = matches!(mount.kind.as_str(), "cgroup" | "cgroup2");
        (of_cgroups && !cgroups.private).then(|| mount.point.clone())
    };
    container.iter().filter_map(|mount| Some(external(&mount.point, &name(mount)?))).collect()
}

/// What a restore is told. What the image has no name for does no harm.
pub(super) fn of_restore(
    host: &[Mounted],
    mounts: &[MountPlan],
    bundle: &Path,
    devices: &[PathBuf],
    cgroups: &Cgroups<'_>,
) -> Vec<ExternalMount> {
    let mut out = Vec::new();
    for bind in Bind::all(mounts, bundle, |_| None) {
        let below = host.iter().filter_map(|mount| {
            let rest = mount.point.strip_prefix(&bind.source).ok()?;
            (rest != Path::new("")).then(|| external(&bind.destination.join(rest), &mount.point))
        });
        // The nearest to the root is mounted first, and a point that is mounted twice shows the last.
        let below: BTreeSet<(String, String)> = below.map(|mount| (mount.key, mount.value)).collect();
        out.push(external(bind.destination, &bind.source));
        out.extend(below.into_iter().map(|(key, value)| ExternalMount { key, value }));
    }
    out.push(external(Path::new(NULL), Path::new(NULL)));
    out.extend(devices.iter().filter(|path| **path != Path::new(NULL)).map(|path| external(path, path)));
    for mount in mounts.iter().filter(|mount| mount.kind == MountKind::Cgroup && !cgroups.private) {
        out.extend(cgroup_sources(&mount.destination, cgroups));
    }
    out
}

fn cgroup_sources(destination: &Path, cgroups: &Cgroups<'_>) -> Vec<ExternalMount> {
    let below = |mount: &Path| mount.join(cgroups.path.strip_prefix("/").unwrap_or(cgroups.path));
    match cgroups.layout {
        Layout::Unified(mount) => vec![external(destination, &below(mount))],
        Layout::Legacy(hierarchies) => hierarchies
            .iter()
            .filter_map(|h| Some(external(&destination.join(h.mount.file_name()?), &below(&h.mount))))
            .collect(),
    }
}

/// A mount that came with a recursive bind: the host has the same one at the same place below the source.
fn below_bind(
    mount: &Mounted,
    container: &[Mounted],
    host: &[Mounted],
    binds: &[Bind<'_>],
) -> Option<PathBuf> {
    let place = |bind: &Bind<'_>| {
        let top = container.iter().find(|top| bind.id == Some(top.id) && top.id != mount.id)?;
        let rest = mount.point.strip_prefix(&top.point).ok()?;
        let source = bind.source.join(rest);
        let known = host.iter().any(|at| at.point == source && at.device == mount.device);
        known.then(|| bind.destination.join(rest))
    };
    binds.iter().find_map(place)
}

/// The filesystem that a path of the host is on.
fn filesystem_of<'a>(host: &'a [Mounted], path: &Path) -> Option<&'a str> {
    let depth = |mount: &&Mounted| mount.point.components().count();
    // The last of the deepest hides the others.
    host.iter()
        .filter(|mount| path.starts_with(&mount.point))
        .max_by_key(depth)
        .map(|mount| mount.device.as_str())
}

fn external(key: &Path, value: &Path) -> ExternalMount {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    ExternalMount { key: text(key), value: text(value) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cgroup::Hierarchy;

    fn mounted(id: u64, device: &str, root: &str, point: &str, kind: &str) -> Mounted {
        Mounted { id, device: device.into(), root: root.into(), point: point.into(), kind: kind.into() }
    }

    fn plans(json: &str) -> Vec<MountPlan> {
        let mounts: Vec<barge_oci::runtime_spec::Mount> = serde_json::from_str(json).unwrap();
        mounts.iter().map(|mount| MountPlan::of(mount).unwrap()).collect()
    }

    fn pairs(mounts: Vec<ExternalMount>) -> Vec<(String, String)> {
        mounts.into_iter().map(|mount| (mount.key, mount.value)).collect()
    }

    const MOUNTS: &str = r#"[
        {"destination":"/conf","type":"bind","source":"/src","options":["rbind"]},
        {"destination":"/sys/fs/cgroup","type":"cgroup","source":"cgroup"}
    ]"#;

    fn legacy() -> Layout {
        let hierarchy = |name: &str| Hierarchy {
            names: vec![name.into()],
            mount: Path::new("/sys/fs/cgroup").join(name),
        };
        Layout::Legacy(vec![hierarchy("pids"), hierarchy("memory")])
    }

    #[test]
    fn a_dump_names_what_came_from_outside() {
        let host = [
            mounted(1, "8:1", "/", "/", "ext4"),
            mounted(2, "0:5", "/", "/dev", "devtmpfs"),
            mounted(3, "0:9", "/", "/src/sub", "tmpfs"),
        ];
        let container = [
            mounted(10, "8:1", "/root", "/", "ext4"),
            mounted(11, "0:20", "/", "/proc", "proc"),
            mounted(12, "0:5", "/null", "/proc/kcore", "devtmpfs"),
            mounted(13, "0:5", "/tty", "/dev/tty", "devtmpfs"),
            mounted(14, "8:1", "/src", "/real/conf", "ext4"),
            mounted(15, "0:9", "/", "/real/conf/sub", "tmpfs"),
            mounted(16, "0:21", "/", "/real/conf/own", "tmpfs"),
            mounted(17, "0:30", "/barge", "/sys/fs/cgroup/pids", "cgroup"),
            mounted(18, "0:20", "/sys", "/proc/sys", "proc"),
        ];
        let mounts = plans(MOUNTS);
        let binds = Bind::all(&mounts, Path::new("/bundle"), |_| Some(14));
        let devices = [PathBuf::from("/dev/tty"), NULL.into()];
        let layout = legacy();
        let found = |private| {
            let cgroups = Cgroups { layout: &layout, path: Path::new("/barge"), private };
            pairs(of_dump(&container, &host, &binds, &devices, &cgroups))
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [
            pair("/proc/kcore", "/dev/null"),
            pair("/dev/tty", "/dev/tty"),
            pair("/real/conf", "/conf"),
            pair("/real/conf/sub", "/conf/sub"),
            pair("/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids"),
        ];
        assert_eq!(found(false), expected);
        assert_eq!(found(true), expected[..4]);
    }

    #[test]
    fn a_restore_knows_what_stands_for_each_name() {
        let host = [mounted(1, "8:1", "/", "/", "ext4"), mounted(3, "0:9", "/", "/src/sub", "tmpfs")];
        let mounts = plans(MOUNTS);
        let layout = legacy();
        let cgroups = Cgroups { layout: &layout, path: Path::new("/barge/x"), private: false };
        let devices = [PathBuf::from("/dev/tty"), NULL.into()];
        let found = pairs(of_restore(&host, &mounts, Path::new("/bundle"), &devices, &cgroups));
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expected = [
            pair("/conf", "/src"),
            pair("/conf/sub", "/src/sub"),
            pair("/dev/null", "/dev/null"),
            pair("/dev/tty", "/dev/tty"),
            pair("/sys/fs/cgroup/pids", "/sys/fs/cgroup/pids/barge/x"),
            pair("/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/barge/x"),
        ];
        assert_eq!(found, expected);
    }
}
