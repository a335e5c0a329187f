//! Overlay mounts that exist only as a descriptor until somebody attaches them.
//!
//! Linux 6.7 takes the layers one by one (`lowerdir+`). Older kernels take them in one option string of at most 256
//! bytes (fsconfig) or a page (mount), too short for 128 layers by their paths: there the layers are named by
//! descriptors, `/proc/self/fd/N`, and [`mount_at`] mounts with `mount(2)`.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

/// The layers of an overlay.
#[derive(Debug, Clone, Copy)]
pub struct Layers<'a, P> {
    /// Read-only directories, topmost first.
    pub lower: &'a [P],
    /// Where changes go; without it the mount is read-only.
    pub upper: Option<&'a Path>,
    /// Overlay's scratch directory on the filesystem of `upper`.
    pub work: Option<&'a Path>,
    /// Further options of overlayfs, `key` or `key=value`.
    pub options: &'a [&'a str],
}

/// A detached overlay mount, gone when the descriptor is closed unless it was attached with `move_mount`.
pub fn mount_detached<P: AsRef<Path>>(
    lower: &[P],
    upper: &Path,
    work: &Path,
    options: &[&str],
) -> io::Result<OwnedFd> {
    detached(&Layers { lower, upper: Some(upper), work: Some(work), options })
}

/// As [`mount_detached`], with every part of [`Layers`] in the caller's hand.
pub fn detached<P: AsRef<Path>>(layers: &Layers<'_, P>) -> io::Result<OwnedFd> {
    match by_lowerdir_plus(layers) {
        // EINVAL: the kernel does not know `lowerdir+`; ENOSYS: it has no fsopen.
        Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOSYS)) => {
            by_own_namespace(layers)
                .map_err(|second| if second.raw_os_error() == Some(libc::EINVAL) { error } else { second })
        }
        result => result,
    }
}

/// As [`detached`], but only in the way of Linux 6.7 and later: never attached anywhere, not for a moment.
pub fn detached_only<P: AsRef<Path>>(layers: &Layers<'_, P>) -> io::Result<OwnedFd> {
    by_lowerdir_plus(layers)
}

/// The way of Linux 6.7 and later.
fn by_lowerdir_plus<P: AsRef<Path>>(layers: &Layers<'_, P>) -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    for layer in layers.lower {
        rustix::mount::fsconfig_set_string(context, "lowerdir+", layer.as_ref())?;
    }
    if let Some(upper) = layers.upper {
        rustix::mount::fsconfig_set_string(context, "upperdir", upper)?;
    }
    if let Some(work) = layers.work {
        rustix::mount::fsconfig_set_string(context, "workdir", work)?;
    }
    for option in layers.options {
        match option.split_once('=') {
            Some((key, value)) => rustix::mount::fsconfig_set_string(context, key, value)?,
            None => rustix::mount::fsconfig_set_flag(context, *option)?,
        }
    }
    rustix::mount::fsconfig_create(context)?;
    let mount = rustix::mount::fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?;
    Ok(mount)
}

/// The way of older kernels: mounts over the first layer, takes a detached copy, and takes the mount away again.
///
/// Seen from other processes of the same mount namespace the mount exists for that moment.
fn by_own_namespace<P: AsRef<Path>>(layers: &Layers<'_, P>) -> io::Result<OwnedFd> {
    let place = layers.work.or(layers.lower.first().map(AsRef::as_ref));
    let place = place.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
    mount_at(layers, place)?;
    let copy = rustix::mount::open_tree(
        CWD,
        place,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    );
    rustix::mount::unmount(place, UnmountFlags::DETACH)?;
    Ok(copy?)
}

/// Mounts with `mount(2)` at `target`, the layers named by descriptors so that 128 of them fit in a page.
pub fn mount_at<P: AsRef<Path>>(layers: &Layers<'_, P>, target: &Path) -> io::Result<()> {
    let mut held = Vec::with_capacity(layers.lower.len() + 2);
    let mut by_descriptor = |path: &Path| -> io::Result<String> {
        let fd = rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let name = format!("/proc/self/fd/{}", fd.as_raw_fd());
        held.push(fd);
        Ok(name)
    };
    let lower: Vec<String> =
        layers.lower.iter().map(|l| by_descriptor(l.as_ref())).collect::<io::Result<_>>()?;
    let mut data = format!("lowerdir={}", lower.join(":"));
    for (key, path) in [("upperdir", layers.upper), ("workdir", layers.work)] {
        if let Some(path) = path {
            data.push_str(&format!(",{key}={}", by_descriptor(path)?));
        }
    }
    for option in layers.options {
        data.push(',');
        data.push_str(option);
    }
    let data = CString::new(data)?;
    rustix::mount::mount("overlay", target.as_os_str().as_bytes(), "overlay", MountFlags::empty(), &*data)?;
    Ok(())
}

/// Attaches a detached mount over the directory `target`.
pub fn attach(mount: &OwnedFd, target: &Path) -> io::Result<()> {
    rustix::mount::move_mount(mount, "", CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    use rustix::mount::MountPropagationFlags;

    type Way = fn(&Layers<'_, PathBuf>) -> io::Result<OwnedFd>;

    /// Both ways give the same mount, with as many layers as an image may have.
    #[test]
    fn the_older_way_takes_as_many_layers() {
        let base = std::env::temp_dir().join(format!("barge-overlay-{}", std::process::id()));
        let layer = |number: usize| -> PathBuf { base.join(format!("layers/{number:064}/diff")) };
        for number in 0..128 {
            fs::create_dir_all(layer(number)).unwrap();
            fs::write(layer(number).join(format!("from-{number}")), "").unwrap();
        }
        let lower: Vec<PathBuf> = (0..128).map(layer).collect();
        let work = base.join("work");
        let ways: [Way; 2] = [by_lowerdir_plus, by_own_namespace];
        for (number, way) in ways.into_iter().enumerate() {
            let (base, lower, work) = (&base, &lower, work.join(number.to_string()));
            // A thread of its own, so that the mount namespace of the other tests stays as it is.
            let seen = std::thread::scope(|threads| {
                let thread = threads.spawn(move || {
                    crate::namespace::unshare(crate::namespace::kind::MOUNT).unwrap();
                    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
                    rustix::mount::mount_change("/", private).unwrap();
                    let upper = base.join(format!("upper-{number}"));
                    fs::create_dir_all(&upper).unwrap();
                    fs::create_dir_all(&work).unwrap();
                    let (upper, work) = (Some(upper.as_path()), Some(work.as_path()));
                    let mount = way(&Layers { lower, upper, work, options: &[] }).unwrap();
                    let place = base.join("place");
                    fs::create_dir_all(&place).unwrap();
                    attach(&mount, &place).unwrap();
                    fs::write(place.join("made"), "").unwrap();
                    fs::read_dir(place).unwrap().count()
                });
                thread.join().unwrap()
            });
            assert_eq!(seen, 129);
            assert!(base.join(format!("upper-{number}/made")).exists());
        }
        fs::remove_dir_all(&base).unwrap();
    }
}
