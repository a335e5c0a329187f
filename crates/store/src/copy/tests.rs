//! Copies on the real file system.

use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::{fs, io};

use super::*;

fn copy(root: &Path, path: &str, target: &Path) -> io::Result<Copied> {
    let root = File::open(root).unwrap();
    directory(root.as_fd(), Path::new(path), target)
}

#[test]
fn everything_of_an_entry_is_copied() {
    let dir = tempfile::tempdir().unwrap();
    let (root, target) = (dir.path().join("root"), dir.path().join("target"));
    let data = root.join("var/data");
    fs::create_dir_all(data.join("sub/deep")).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(data.join("file"), "content").unwrap();
    fs::set_permissions(data.join("file"), fs::Permissions::from_mode(0o4751)).unwrap();
    fs::hard_link(data.join("file"), data.join("sub/deep/link")).unwrap();
    symlink("/etc/passwd", data.join("sub/symlink")).unwrap();
    rustix::fs::mknodat(CWD, data.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o1777)).unwrap();
    std::os::unix::fs::chown(&data, Some(70), Some(71)).unwrap();

    assert_eq!(copy(&root, "/var/data", &target).unwrap(), Copied::All);
    let file = fs::metadata(target.join("file")).unwrap();
    assert_eq!(fs::read_to_string(target.join("file")).unwrap(), "content");
    assert_eq!((file.mode() & 0o7777, file.nlink()), (0o4751, 2));
    assert_eq!(file.mtime_nsec(), fs::metadata(data.join("file")).unwrap().mtime_nsec());
    assert_eq!(file.ino(), fs::metadata(target.join("sub/deep/link")).unwrap().ino());
    assert_eq!(fs::read_link(target.join("sub/symlink")).unwrap(), Path::new("/etc/passwd"));
    assert!(fs::symlink_metadata(target.join("pipe")).unwrap().file_type().is_fifo());
    let top = fs::metadata(&target).unwrap();
    assert_eq!((top.mode() & 0o7777, top.uid(), top.gid()), (0o1777, 70, 71));
}

#[test]
fn links_are_followed_inside_the_root_only() {
    let dir = tempfile::tempdir().unwrap();
    let (root, target) = (dir.path().join("root"), dir.path().join("target"));
    fs::create_dir_all(root.join("real")).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(root.join("real/inside"), "").unwrap();
    fs::create_dir(dir.path().join("outside")).unwrap();
    fs::write(dir.path().join("outside/secret"), "").unwrap();
    symlink("../../../real", root.join("data")).unwrap();
    symlink(dir.path().join("outside"), root.join("escape")).unwrap();
    assert_eq!(copy(&root, "escape", &target).unwrap(), Copied::NoSource);
    assert_eq!(copy(&root, "data", &target).unwrap(), Copied::All);
    assert!(target.join("inside").exists());
}

#[test]
fn missing_sources_and_full_targets_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (root, target) = (dir.path().join("root"), dir.path().join("target"));
    fs::create_dir_all(root.join("data")).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(root.join("file"), "").unwrap();
    assert_eq!(copy(&root, "nowhere", &target).unwrap(), Copied::NoSource);
    assert_eq!(copy(&root, "file", &target).unwrap(), Copied::NoSource);
    fs::write(target.join("mine"), "").unwrap();
    assert_eq!(copy(&root, "data", &target).unwrap(), Copied::NotEmpty);
}
