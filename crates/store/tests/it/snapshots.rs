//! Writable views on layers.

use crate::support::{Fixture, Tar, sh};
use barge_store::Error;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::fs;
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use tar::EntryType;

fn two_layers(fixture: &Fixture) -> Vec<barge_oci::Digest> {
    let base = Tar::new()
        .owned_entry(EntryType::Directory, "./", "", (0o711, 5, 6), b"")
        .file("kept", b"base")
        .file("gone", b"base")
        .finish();
    let top = Tar::new().file(".wh.gone", b"").file("kept2", b"top").finish();
    fixture.image(&[&base, &top], None).chain
}

#[test]
fn a_snapshot_shows_its_layers_and_takes_changes() {
    let fixture = Fixture::new();
    let chain = two_layers(&fixture);
    let snapshot = fixture.store.snapshots().prepare("c1", &chain).unwrap();
    assert!(matches!(fixture.store.snapshots().prepare("c1", &chain), Err(Error::SnapshotExists { .. })));
    let mount = snapshot.mount_detached().unwrap();
    let stat = rustix::fs::statat(&mount, ".", AtFlags::empty()).unwrap();
    assert_eq!((stat.st_mode & 0o7777, stat.st_uid, stat.st_gid), (0o711, 5, 6));
    let open = |name: &str, flags| {
        rustix::fs::openat(&mount, name, flags, Mode::from_raw_mode(0o644)).map(File::from)
    };
    let mut text = String::new();
    open("kept", OFlags::RDONLY).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "base");
    assert!(open("gone", OFlags::RDONLY).is_err());
    open("new", OFlags::WRONLY | OFlags::CREATE).unwrap().write_all(&[1; 10_000]).unwrap();
    drop(mount);
    assert_eq!(fs::read(snapshot.upper.join("new")).unwrap().len(), 10_000);
    let fixture = fixture.reopen();
    assert_eq!(fixture.store.snapshots().open("c1").unwrap(), snapshot);
    assert!((10_000..50_000).contains(&fixture.store.snapshots().usage("c1").unwrap()));
    assert_eq!(fixture.store.snapshots().list(), ["c1"]);
    fixture.store.snapshots().remove("c1").unwrap();
    fixture.store.snapshots().remove("c1").unwrap();
    assert!(matches!(fixture.store.snapshots().open("c1"), Err(Error::SnapshotNotFound { .. })));
    assert!(!snapshot.upper.exists());
    assert!(fixture.leftovers().is_empty());
}

#[test]
fn an_image_without_layers_is_an_empty_root() {
    let fixture = Fixture::new();
    let snapshot = fixture.store.snapshots().prepare("c1", &[]).unwrap();
    let mount = snapshot.mount_detached().unwrap();
    assert_eq!(rustix::fs::mkdirat(&mount, "d", Mode::from_raw_mode(0o755)), Ok(()));
}

#[test]
fn keys_that_are_no_names_and_layers_that_are_missing_are_refused() {
    let fixture = Fixture::new();
    for key in ["", ".", "..", "a/b", "../x", ".hidden"] {
        assert!(
            matches!(fixture.store.snapshots().prepare(key, &[]), Err(Error::SnapshotKey { .. })),
            "{key}"
        );
    }
    let missing = [barge_oci::Digest::sha256_of(b"")];
    assert!(matches!(fixture.store.snapshots().prepare("c", &missing), Err(Error::LayerNotFound { .. })));
    assert!(fixture.leftovers().is_empty());
}

#[test]
fn removal_follows_no_link_and_copes_with_any_depth() {
    let fixture = Fixture::new();
    let outside = crate::support::scratch();
    fs::write(outside.path().join("victim"), "untouched").unwrap();
    let snapshot = fixture.store.snapshots().prepare("c1", &[]).unwrap();
    std::os::unix::fs::symlink(outside.path(), snapshot.upper.join("link")).unwrap();
    sh(
        "mkdir wide; cd wide; for i in $(seq 300); do mkdir d$i; echo > d$i/f; done; cd ..
        i=0; while [ $i -lt 600 ]; do mkdir deep; cd deep; i=$((i+1)); : > f; done; chmod 000 .",
        &snapshot.upper,
    );
    fixture.store.snapshots().remove("c1").unwrap();
    assert!(!snapshot.upper.exists());
    assert!(fixture.leftovers().is_empty());
    assert_eq!(fs::metadata(outside.path().join("victim")).unwrap().nlink(), 1);
}
