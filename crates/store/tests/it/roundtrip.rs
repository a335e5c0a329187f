//! Any tree, packed by GNU tar and applied, is the same tree.

use crate::support::{Fixture, real_tar, scratch};
use barge_oci::Digest;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// All that can be told of one file.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    kind: char,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, i64),
    device: u64,
    content: Digest,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The first name of the same file.
    same_as: PathBuf,
}

/// How much of a tree an archive can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fidelity {
    Exact,
    /// GNU's own format: whole seconds, no attributes.
    Gnu,
}

/// Compares two trees.
pub(crate) fn assert_same(left: &Path, right: &Path, fidelity: Fidelity) {
    assert_eq!(difference(left, right, fidelity), None);
}

/// The first path at which two trees differ, and how.
fn difference(left: &Path, right: &Path, fidelity: Fidelity) -> Option<String> {
    let (left, right) = (facts(left, fidelity), facts(right, fidelity));
    let paths: BTreeSet<&PathBuf> = left.keys().chain(right.keys()).collect();
    let differs = paths.into_iter().find(|path| left.get(*path) != right.get(*path))?;
    Some(format!("{}: {:?} became {:?}", differs.display(), left.get(differs), right.get(differs)))
}

fn facts(root: &Path, fidelity: Fidelity) -> BTreeMap<PathBuf, Facts> {
    let mut all = BTreeMap::new();
    let mut inodes = HashMap::new();
    collect(root, Path::new(""), fidelity, &mut inodes, &mut all);
    all
}

fn collect(
    root: &Path,
    path: &Path,
    fidelity: Fidelity,
    inodes: &mut HashMap<u64, PathBuf>,
    all: &mut BTreeMap<PathBuf, Facts>,
) {
    let full = root.join(path);
    let metadata = fs::symlink_metadata(&full).unwrap();
    let kind = metadata.file_type();
    let kind = match () {
        () if kind.is_dir() => 'd',
        () if kind.is_symlink() => 'l',
        () if kind.is_char_device() => 'c',
        () if kind.is_block_device() => 'b',
        () if kind.is_fifo() => 'p',
        () => 'f',
    };
    let content = match kind {
        'f' => fs::read(&full).unwrap(),
        'l' => fs::read_link(&full).unwrap().as_os_str().as_bytes().to_vec(),
        _ => Vec::new(),
    };
    let same_as = match kind {
        'd' => path.to_owned(),
        _ => inodes.entry(metadata.ino()).or_insert_with(|| path.to_owned()).clone(),
    };
    let facts = Facts {
        kind,
        mode: metadata.mode() & 0o7777,
        owner: (metadata.uid(), metadata.gid()),
        mtime: (metadata.mtime(), if fidelity == Fidelity::Exact { metadata.mtime_nsec() } else { 0 }),
        device: if matches!(kind, 'c' | 'b') { metadata.rdev() } else { 0 },
        content: Digest::sha256_of(&content),
        xattrs: if fidelity == Fidelity::Exact { xattrs(&full) } else { BTreeMap::new() },
        same_as,
    };
    all.insert(path.to_owned(), facts);
    if kind == 'd' {
        let mut names: Vec<_> =
            fs::read_dir(&full).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            collect(root, &path.join(name), fidelity, inodes, all);
        }
    }
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0; 65536];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap();
    let names = names[..length].split(|b| *b == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 65536];
            let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
            value.truncate(length);
            (name.to_vec(), value)
        })
        .collect()
}

#[derive(Debug, Clone)]
enum What {
    Directory,
    File(Vec<u8>),
    Symlink(Vec<u8>),
    HardLink(prop::sample::Index),
    Special(u32, u32),
    Fifo,
}

#[derive(Debug, Clone)]
struct Node {
    parent: prop::sample::Index,
    name: Vec<u8>,
    what: What,
    mode: u32,
    owner: (u32, u32),
    mtime: (i64, u32),
    xattr: Option<Vec<u8>>,
}

fn node() -> impl Strategy<Value = Node> {
    let name = prop_oneof![
        4 => "[a-z]{1,3}".prop_map(String::into_bytes),
        1 => "[ -.0-~]{1,40}".prop_map(String::into_bytes),
        1 => prop::collection::vec(128u8..=255, 1..20),
        1 => "[A-Z]{120,200}".prop_map(String::into_bytes),
    ];
    let what = prop_oneof![
        4 => Just(What::Directory),
        6 => prop::collection::vec(any::<u8>(), 0..3000).prop_map(What::File),
        2 => "[a-z./]{1,150}".prop_map(|target| What::Symlink(target.into_bytes())),
        2 => any::<prop::sample::Index>().prop_map(What::HardLink),
        1 => (1u32..200, 0u32..200).prop_map(|(major, minor)| What::Special(major, minor)),
        1 => Just(What::Fifo),
    ];
    let xattr = prop::option::weighted(0.2, prop::collection::vec(any::<u8>(), 1..200));
    let owner = (prop_oneof![Just(0u32), 0u32..4_000_000], prop_oneof![Just(0u32), 0u32..4_000_000]);
    let mtime = (-1_000_000_000i64..4_000_000_000, 0u32..1_000_000_000);
    (any::<prop::sample::Index>(), name, what, 0u32..0o10000, owner, mtime, xattr).prop_map(
        |(parent, name, what, mode, owner, mtime, xattr)| Node {
            parent,
            name,
            what,
            mode,
            owner,
            mtime,
            xattr,
        },
    )
}

/// Makes the tree; nodes whose name is taken or too long are left out.
fn plant(root: &Path, nodes: &[Node]) {
    let mut directories = vec![root.to_owned()];
    let mut files: Vec<PathBuf> = Vec::new();
    let mut made = Vec::new();
    for node in nodes {
        if matches!(&node.name[..], b"." | b"..") || node.name.starts_with(b".wh.") {
            continue;
        }
        let path = node.parent.get(&directories).join(OsStr::from_bytes(&node.name));
        let created = match &node.what {
            What::Directory => fs::create_dir(&path).is_ok(),
            _ if fs::symlink_metadata(&path).is_ok() => false,
            What::File(content) => fs::write(&path, content).is_ok(),
            What::Symlink(target) => std::os::unix::fs::symlink(OsStr::from_bytes(target), &path).is_ok(),
            What::HardLink(target) if !files.is_empty() => fs::hard_link(target.get(&files), &path).is_ok(),
            What::HardLink(_) => false,
            What::Special(major, minor) => {
                let device = rustix::fs::makedev(*major, *minor);
                rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), device).is_ok()
            }
            What::Fifo => rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::empty(), 0).is_ok(),
        };
        if created {
            match node.what {
                What::Directory => directories.push(path.clone()),
                // GNU tar packs each name of these as a file of its own.
                What::Special(..) | What::Fifo => {}
                _ => files.push(path.clone()),
            }
            made.push((path, node));
        }
    }
    for (path, node) in made.iter().rev() {
        dress(path, node);
    }
}

fn dress(path: &Path, node: &Node) {
    let (uid, gid) = (Uid::from_raw(node.owner.0), Gid::from_raw(node.owner.1));
    rustix::fs::chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).unwrap();
    if !fs::symlink_metadata(path).unwrap().is_symlink() {
        rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(node.mode), AtFlags::empty()).unwrap();
        if let Some(value) = &node.xattr {
            // Fifos and devices have none.
            let _ = rustix::fs::setxattr(path, "user.test", value, rustix::fs::XattrFlags::empty());
        }
    }
    let time = Timespec { tv_sec: node.mtime.0, tv_nsec: node.mtime.1.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn a_random_tree_packed_and_applied_is_identical() {
    let fixture = Fixture::new();
    let config = Config {
        cases: 24,
        failure_persistence: None,
        max_shrink_iters: 100,
        verbose: 0,
        ..Config::default()
    };
    TestRunner::new(config)
        .run(&prop::collection::vec(node(), 0..60), |nodes| {
            let source = scratch();
            plant(source.path(), &nodes);
            let layer = real_tar(source.path(), &["--format=pax"]);
            let diff = fixture.apply(&[&layer]).unwrap();
            let difference = difference(source.path(), &diff, Fidelity::Exact);
            prop_assert!(difference.is_none(), "{}", difference.unwrap_or_default());
            Ok(())
        })
        .unwrap();
}
