//! A container's changes as a list and as a layer.

use crate::roundtrip::{Fidelity, assert_same};
use crate::support::{Fixture, Tar, sh};
use barge_store::{Change, Image, Import, Snapshot, Store};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// Runs a script in the merged view.
fn change(snapshot: &Snapshot, script: &str) {
    let mount = snapshot.mount_detached().unwrap();
    sh(script, Path::new(&format!("/proc/{}/fd/{}", std::process::id(), mount.as_raw_fd())));
}

fn base(fixture: &Fixture) -> Image {
    let layer = Tar::new()
        .directory("d", 0o755)
        .file("d/old", b"old")
        .file("gone", b"old")
        .directory("replaced", 0o755)
        .file("replaced/old", b"old")
        .file("kept", b"old")
        .finish();
    fixture.store.import(&layer[..], Import::default()).unwrap()
}

/// Makes an image of a container, as a commit does.
fn commit(store: &Store, key: &str, image: &Image) -> Image {
    let _lease = store.lease();
    let mut layer = Vec::new();
    store.diff(key, &mut layer).unwrap();
    let layer = store.pack(&layer[..]).unwrap();
    let mut config = barge_oci::ImageConfig::clone(&image.config);
    config.rootfs.diff_ids.push(layer.diff_id);
    store.apply_packed(&layer, &config.rootfs.diff_ids).unwrap();
    let manifest = store.blobs().read(&image.manifest, 1 << 20).unwrap();
    let manifest: barge_oci::Manifest = serde_json::from_slice(&manifest).unwrap();
    let layers = manifest.layers.into_iter().chain([layer.descriptor]).collect();
    store.create_image(&config, layers, None).unwrap()
}

const SCRIPT: &str =
    "echo new > d/new; chmod 700 d/old; rm gone; rm -r replaced; mkdir replaced; echo new > replaced/new
    mkdir -p deep/er; ln d/new deep/er/hard; ln -s ../d deep/link; mkfifo deep/fifo; mknod deep/null c 1 3
    chown 5:6 deep; chmod 4711 d/new; touch -d '2001-01-01 00:00:00.123456789' d deep deep/er";

#[test]
fn changes_are_listed() {
    let fixture = Fixture::new();
    let image = base(&fixture);
    let snapshot = fixture.store.snapshots().prepare("c", &image.chain).unwrap();
    assert_eq!(fixture.store.changes("c").unwrap(), []);
    change(&snapshot, SCRIPT);
    let changes = fixture.store.changes("c").unwrap();
    let expected = [
        ("/d", Change::Modified),
        ("/d/new", Change::Added),
        ("/d/old", Change::Modified),
        ("/deep", Change::Added),
        ("/deep/er", Change::Added),
        ("/deep/er/hard", Change::Added),
        ("/deep/fifo", Change::Added),
        ("/deep/link", Change::Added),
        ("/deep/null", Change::Added),
        ("/gone", Change::Deleted),
        ("/replaced", Change::Modified),
        ("/replaced/new", Change::Added),
    ];
    assert_eq!(changes, expected.map(|(path, change)| (PathBuf::from(path), change)));
}

#[test]
fn a_committed_container_is_the_same_file_system() {
    let fixture = Fixture::new();
    let image = base(&fixture);
    let snapshot = fixture.store.snapshots().prepare("c", &image.chain).unwrap();
    change(&snapshot, SCRIPT);
    let committed = commit(&fixture.store, "c", &image);
    let copy = fixture.store.snapshots().prepare("copy", &committed.chain).unwrap();
    let (left, right) = (snapshot.mount_detached().unwrap(), copy.mount_detached().unwrap());
    let path = |fd: i32| PathBuf::from(format!("/proc/self/fd/{fd}/."));
    assert_same(&path(left.as_raw_fd()), &path(right.as_raw_fd()), Fidelity::Exact);
}

#[test]
fn a_deep_tree_is_packed_with_few_descriptors() {
    let fixture = Fixture::new();
    let snapshot = fixture.store.snapshots().prepare("c", &[]).unwrap();
    sh("i=0; while [ $i -lt 300 ]; do mkdir d; : > z; cd d; i=$((i+1)); done", &snapshot.upper);
    let mut layer = Vec::new();
    fixture.store.diff("c", &mut layer).unwrap();
    let diff = fixture.apply(&[&layer]).unwrap();
    assert_same(&snapshot.upper, &diff, Fidelity::Exact);
}

#[test]
fn what_overlay_has_only_noted_is_not_taken_for_content() {
    let fixture = Fixture::new();
    let snapshot = fixture.store.snapshots().prepare("c", &[]).unwrap();
    let directory = snapshot.upper.join("d");
    std::fs::create_dir(&directory).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(&directory, "trusted.overlay.redirect", b"/elsewhere", flags).unwrap();
    assert!(fixture.store.diff("c", Vec::new()).is_err());
}
