//! Mounting the filesystems of a specification into the root.
//!
//! Every mount is made detached, gets its attributes while nobody can reach it, and is then attached to the
//! descriptor of its place. Sources of binds are the host's paths: [`Sources::open`] takes hold of them before
//! anything is mounted over the host's tree.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use barge_sys::mount::{Change, Reach, attr, set_attributes};
use barge_sys::overlay::Layers;
use rustix::fs::{CWD, FileType};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags};

use super::cgroups::CgroupView;
use super::copy_up;
use super::target::{RootDirectory, file_type};
use crate::error::{Error, Result};
use crate::plan::invalid;
use crate::plan::mount::{MountKind, MountPlan};
use crate::procfs::is_proc;
use crate::userns;

/// The trees to bind, one for each mount that is a bind.
#[derive(Debug)]
pub(super) struct Sources(Vec<Option<OwnedFd>>);

impl Sources {
    /// Takes a detached copy of every source, with the propagation it has now.
    ///
    /// `opened` has those that the parent has taken already, in the places of their mounts.
    pub(super) fn open(mounts: &[MountPlan], opened: Vec<Option<OwnedFd>>) -> Result<Self> {
        let open = |mount: &MountPlan| match &mount.kind {
            MountKind::Bind { source, recursive } => {
                clone_path(source, *recursive).map(Some).map_err(|errno| match errno {
                    Errno::NOENT => Error::BindSourceMissing { path: source.clone() },
                    errno => Error::BindSource { path: source.clone(), source: errno.into() },
                })
            }
            _ => Ok(None),
        };
        let opened = opened.into_iter().chain(std::iter::repeat_with(|| None));
        let all = mounts.iter().zip(opened).map(|(mount, opened)| match opened {
            Some(tree) => Ok(Some(tree)),
            None => open(mount),
        });
        all.collect::<Result<_>>().map(Self)
    }
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// A detached copy of what a path of the host names.
pub(crate) fn clone_path(path: &Path, recursive: bool) -> rustix::io::Result<OwnedFd> {
    rustix::mount::open_tree(CWD, path, clone_flags(recursive))
}

/// A detached copy of what a descriptor names.
pub(super) fn clone_fd(fd: BorrowedFd<'_>, recursive: bool) -> rustix::io::Result<OwnedFd> {
    rustix::mount::open_tree(fd, "", clone_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH)
}

/// Attaches a detached mount to the place of a descriptor.
pub(crate) fn attach(mount: &OwnedFd, place: impl AsFd) -> rustix::io::Result<()> {
    let by_descriptors = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(mount, "", place, "", by_descriptors)
}

/// A detached new filesystem.
pub(crate) fn filesystem(
    kind: &str,
    source: &str,
    options: &[String],
    attributes: u64,
) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    rustix::mount::fsconfig_set_string(context, "source", source)?;
    configure(context, options)?;
    rustix::mount::fsconfig_create(context)?;
    let attributes = MountAttrFlags::from_bits_retain(attributes as u32);
    rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn configure(context: BorrowedFd<'_>, options: &[String]) -> rustix::io::Result<()> {
    options.iter().try_for_each(|option| match option.split_once('=') {
        Some((key, value)) => rustix::mount::fsconfig_set_string(context, key, value),
        None => rustix::mount::fsconfig_set_flag(context, option),
    })
}

/// Carries out every mount of the plan, in its order.
pub(super) fn mount_all(
    root: &RootDirectory,
    mounts: &[MountPlan],
    sources: Sources,
    cgroups: &CgroupView<'_>,
) -> Result<()> {
    for (mount, source) in mounts.iter().zip(sources.0) {
        match (&mount.kind, source) {
            (MountKind::Bind { source: path, .. }, Some(tree)) => bind(root, mount, path, &tree)?,
            (MountKind::Cgroup, _) => cgroups.mount(root, mount)?,
            (MountKind::Filesystem { kind, source, options }, _) if kind == "tmpfs" => {
                temporary(root, mount, source, options)?;
            }
            (MountKind::Filesystem { kind, options, .. }, _) if kind == "overlay" => {
                overlay(root, mount, options)?;
            }
            (MountKind::Again { options }, _) => again(root, mount, options)?,
            (MountKind::Filesystem { kind, source, options }, _) => {
                let attributes = mount.attributes();
                let (fresh, attributes) = match filesystem(kind, source, options, attributes) {
                    Err(Errno::PERM)
                        if let Some(path) = of_host(kind)
                            && userns::is_unprivileged() =>
                    {
                        (clone_path(path, true).map_err(because(mount, kind))?, Attributes::Change)
                    }
                    result => (result.map_err(because(mount, kind))?, Attributes::Set),
                };
                let place = directory(root, mount, kind)?;
                check_place(root, mount, &place, kind == "proc")?;
                attach_with(&fresh, &place, mount, attributes).map_err(because(mount, kind))?;
            }
            (MountKind::Bind { .. }, None) => {}
        }
    }
    Ok(())
}

/// What stands in for a filesystem that shows a namespace of the host, which the root of another user namespace may
/// not mount: the host's own.
fn of_host(kind: &str) -> Option<&'static Path> {
    match kind {
        "sysfs" => Some(Path::new("/sys")),
        "mqueue" => Some(Path::new("/dev/mqueue")),
        _ => None,
    }
}

/// Its layers may be more than fit into one option.
fn overlay(root: &RootDirectory, mount: &MountPlan, options: &[String]) -> Result<()> {
    let failed = because(mount, "overlay");
    let (fresh, attributes) = match Layered::of(options) {
        Some(Layered { lower, upper, work, options }) => {
            let layers = Layers { lower: &lower, upper, work, options: &options };
            let detached = barge_sys::overlay::detached(&layers);
            let detached = detached.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO));
            (detached, Attributes::Change)
        }
        None => (filesystem("overlay", "overlay", options, mount.attributes()), Attributes::Set),
    };
    let fresh = fresh.map_err(&failed)?;
    let place = directory(root, mount, "overlay")?;
    check_place(root, mount, &place, false)?;
    attach_with(&fresh, &place, mount, attributes).map_err(&failed)
}

/// The options of an overlay, sorted.
#[derive(Debug, Default, PartialEq, Eq)]
struct Layered<'a> {
    lower: Vec<&'a str>,
    upper: Option<&'a Path>,
    work: Option<&'a Path>,
    options: Vec<&'a str>,
}

impl<'a> Layered<'a> {
    /// `None` for what only the kernel's own reading of the list understands: escaped colons, layers of data alone.
    fn of(options: &'a [String]) -> Option<Self> {
        let mut sorted = Self::default();
        for option in options {
            match option.split_once('=') {
                Some(("lowerdir", list)) if list.contains('\\') || list.contains("::") => return None,
                Some(("lowerdir", list)) => sorted.lower = list.split(':').collect(),
                Some(("upperdir", path)) => sorted.upper = Some(Path::new(path)),
                Some(("workdir", path)) => sorted.work = Some(Path::new(path)),
                _ => sorted.options.push(option),
            }
        }
        (!sorted.lower.is_empty()).then_some(sorted)
    }
}

/// Changes a mount that is there already, and its filesystem.
fn again(root: &RootDirectory, mount: &MountPlan, options: &[String]) -> Result<()> {
    let failed = because(mount, "remount");
    let place = root.find(&mount.destination).map_err(&failed)?;
    if !options.is_empty() {
        let context =
            rustix::mount::fspick(&place, "", FsPickFlags::FSPICK_EMPTY_PATH | FsPickFlags::FSPICK_CLOEXEC)
                .map_err(&failed)?;
        configure(context.as_fd(), options)
            .and_then(|()| rustix::mount::fsconfig_reconfigure(context.as_fd()))
            .map_err(&failed)?;
    }
    change_attributes(&place, mount, Attributes::Change).map_err(&failed)?;
    propagate(&place, mount).map_err(&failed)
}

/// A tmpfs has the mode of the directory that it hides, and on request its contents.
fn temporary(root: &RootDirectory, mount: &MountPlan, source: &str, options: &[String]) -> Result<()> {
    let failed = because(mount, "tmpfs");
    let mut options = options.to_vec();
    if !options.iter().any(|option| option.starts_with("mode="))
        && let Ok(hidden) = root.find(&mount.destination)
    {
        let stat = rustix::fs::fstat(&hidden).map_err(&failed)?;
        options.push(format!("mode={:o}", stat.st_mode & 0o7777));
    }
    let place = directory(root, mount, "tmpfs")?;
    check_place(root, mount, &place, false)?;
    let attributes = mount.attributes();
    if !mount.copy_up {
        let fresh = filesystem("tmpfs", source, &options, attributes).map_err(&failed)?;
        return attach_with(&fresh, &place, mount, Attributes::Set).map_err(&failed);
    }
    let fresh = filesystem("tmpfs", source, &options, 0).map_err(&failed)?;
    copy_up::copy(place.as_fd(), fresh.as_fd())
        .map_err(|errno| Error::CopyUp { target: mount.destination.clone(), source: errno.into() })?;
    attach_with(&fresh, &place, mount, Attributes::Change).map_err(&failed)
}

/// The failure of a mount, with what was to be mounted.
pub(super) fn because<'a>(mount: &'a MountPlan, from: &'a str) -> impl Fn(Errno) -> Error + 'a {
    move |errno| Error::Mount {
        from: from.to_owned(),
        target: mount.destination.clone(),
        source: errno.into(),
    }
}

fn bind(root: &RootDirectory, mount: &MountPlan, path: &Path, tree: &OwnedFd) -> Result<()> {
    let from = path.display().to_string();
    let is_directory = file_type(tree).map_err(because(mount, &from))? == FileType::Directory;
    let place = if is_directory { root.directory(&mount.destination) } else { root.file(&mount.destination) };
    let place = place
        .map_err(|errno| nothing_in_proc(mount, errno).unwrap_or_else(|| because(mount, &from)(errno)))?;
    check_place(root, mount, &place, is_proc(tree))?;
    attach_with(tree, &place, mount, Attributes::Change).map_err(because(mount, &from))
}

/// Whether the attributes of a mount are already on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attributes {
    Set,
    Change,
}

/// Gives a detached mount its attributes and propagation and attaches it.
pub(super) fn attach_with(
    tree: &OwnedFd,
    place: &OwnedFd,
    mount: &MountPlan,
    attributes: Attributes,
) -> rustix::io::Result<()> {
    change_attributes(tree, mount, attributes)?;
    // In a tree that is attached nowhere (see [`super::apart`]) only what is still apart from it can be changed.
    propagate(tree, mount)?;
    attach(tree, place)?;
    // A shared place has shared what was attached to it.
    match propagate(tree, mount) {
        Err(Errno::INVAL) => Ok(()),
        result => result,
    }
}

fn propagate(tree: &OwnedFd, mount: &MountPlan) -> rustix::io::Result<()> {
    mount.propagation.iter().try_for_each(|propagation| {
        let reach = if propagation.recursive { Reach::Tree } else { Reach::Mount };
        change(tree, reach, Change { propagation: propagation.kind, ..Change::default() })
    })
}

/// Gives a mount what the plan says of its attributes, unless it has that already.
pub(super) fn change_attributes(
    tree: &OwnedFd,
    mount: &MountPlan,
    attributes: Attributes,
) -> rustix::io::Result<()> {
    if attributes == Attributes::Set {
        return Ok(());
    }
    change(tree, Reach::Tree, mount.tree)?;
    change(tree, Reach::Mount, mount.own)
}

fn change(tree: &OwnedFd, reach: Reach, change: Change) -> rustix::io::Result<()> {
    if change == Change::default() {
        return Ok(());
    }
    set_attributes(tree.as_fd(), reach, change)
        .map_err(|error| error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))
}

/// The place of a new filesystem. Those of the kernel itself go to plain directories only: masks and protections
/// are for `/proc` and `/sys`, and must not be led astray by an image in which these are links.
fn directory(root: &RootDirectory, mount: &MountPlan, kind: &str) -> Result<OwnedFd> {
    let target = || mount.destination.clone();
    let failed = |errno: Errno| Error::MountTarget { target: target(), source: errno.into() };
    if matches!(kind, "proc" | "sysfs") {
        match root.find_plain(&mount.destination) {
            Ok(place) => return Ok(place),
            Err(Errno::NOENT) => {}
            Err(Errno::LOOP | Errno::NOTDIR) => return Err(Error::MountTargetSymlink { target: target() }),
            Err(errno) => return Err(failed(errno)),
        }
    }
    root.directory(&mount.destination)
        .map_err(|errno| nothing_in_proc(mount, errno).unwrap_or_else(|| failed(errno)))
}

/// What is said of a place that is missing where nothing can be made.
fn nothing_in_proc(mount: &MountPlan, errno: Errno) -> Option<Error> {
    let within = mount.destination.starts_with("/proc") && mount.destination != Path::new("/proc");
    let missing = matches!(errno, Errno::NOENT | Errno::ACCESS | Errno::PERM);
    (within && missing).then(|| inside_proc(&mount.destination))
}

fn inside_proc(destination: &Path) -> Error {
    invalid("mounts", format!("{destination:?} cannot be mounted because it is inside /proc"))
}

/// Files of procfs over which something may be bound: views of the machine that lxcfs and its like replace.
const REPLACEABLE: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/net/dev",
    "/proc/sys/crypto/fips_enabled",
];

/// Nothing else may be put inside `/proc` (a volume there could fake what the container's tools and our own
/// protections rely on), except a procfs on `/proc` itself. Nor may anything be put over the root, by a link to it:
/// init would go on below, and those who join the container above.
pub(super) fn check_place(
    root: &RootDirectory,
    mount: &MountPlan,
    place: &OwnedFd,
    brings_proc: bool,
) -> Result<()> {
    let destination = &mount.destination;
    if root.is(place).map_err(because(mount, "none"))? {
        return Err(invalid("mounts", format!("{destination:?} is on top of the root filesystem")));
    }
    let allowed = match (destination == Path::new("/proc"), brings_proc) {
        (true, brings_proc) => brings_proc,
        (false, _) => !is_proc(place) || REPLACEABLE.iter().any(|path| destination == Path::new(path)),
    };
    if allowed {
        return Ok(());
    }
    Err(inside_proc(destination))
}

/// Makes what a descriptor names (and everything below) read-only, by a mount of its own.
pub(super) fn make_read_only(place: &OwnedFd) -> rustix::io::Result<()> {
    let tree = clone_fd(place.as_fd(), true)?;
    change(&tree, Reach::Tree, Change { set: attr::RDONLY, ..Change::default() })?;
    attach(&tree, place)
}
