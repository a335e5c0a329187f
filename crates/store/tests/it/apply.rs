//! Layers become directories in overlay's format, exactly.

use crate::roundtrip::{Fidelity, assert_same};
use crate::support::{Fixture, Tar, gzip, real_tar, scratch, sh, xattr};
use barge_oci::{Digest, chain_ids};
use barge_store::{Error, Layers};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;
use tar::EntryType;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn is_whiteout(path: &Path) -> bool {
    let metadata = fs::symlink_metadata(path).unwrap();
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

fn is_opaque(path: &Path) -> bool {
    xattr(path, "trusted.overlay.opaque").as_deref() == Some(b"y")
}

#[test]
fn what_gnu_tar_packs_comes_out_the_same() {
    let source = scratch();
    sh(
        r#"mkdir -p a/b "$(printf 'n%0120d' 1)/$(printf 'm%0120d' 1)"
        echo hello > a/file; ln a/file a/b/hard; ln -s ../nowhere a/link; ln -s /etc a/absolute
        mkfifo a/fifo; mknod a/null c 1 3; mknod a/disk b 8 1
        cp /bin/true a/suid; chown 1000:1001 a/suid; chmod 4755 a/suid
        chmod 1777 a/b; chown 7:8 a/b; chmod 000 a/fifo
        echo deep > "$(printf 'n%0120d' 1)/$(printf 'm%0120d' 1)/$(printf 'f%0120d' 1)"
        truncate -s 10M a/sparse; printf x | dd of=a/sparse bs=1 seek=5000000 conv=notrunc status=none
        touch -d '2001-02-03 04:05:06.123456789' a/file a/b a; touch -h -d '1999-01-01' a/link
        touch -d '1969-06-01 00:00:00.5' a/suid"#,
        source.path(),
    );
    // Revision 2 of a file capability: 20 bytes, among them a newline and NULs.
    let capability = [&[1, 0, 0, 2, 0, 0x20, 0x0a][..], &[0; 13]].concat();
    let file = source.path().join("a/file");
    let times = fs::metadata(&file).unwrap().modified().unwrap();
    for (name, value) in [("security.capability", &capability[..]), ("user.note", b"a\nb")] {
        rustix::fs::setxattr(&file, name, value, rustix::fs::XattrFlags::empty()).unwrap();
    }
    fs::File::open(&file).unwrap().set_modified(times).unwrap();
    for options in [
        &["--format=gnu"][..],
        &["--format=pax"],
        &["--format=pax", "--sparse"],
        &["--format=gnu", "--sparse"],
        &["--format=pax", "--sparse", "--sparse-version=0.0"],
        &["--format=pax", "--sparse", "--sparse-version=0.1"],
    ] {
        let fixture = Fixture::new();
        let layer = real_tar(source.path(), options);
        let diff = fixture.apply(&[&layer]).unwrap();
        let fidelity = if options[0] == "--format=pax" { Fidelity::Exact } else { Fidelity::Gnu };
        assert_same(source.path(), &diff, fidelity);
        assert!(fixture.leftovers().is_empty());
    }
}

#[test]
fn sparse_files_keep_their_holes() {
    let source = scratch();
    sh("truncate -s 100M s; printf x | dd of=s bs=1 seek=50000000 conv=notrunc status=none", source.path());
    let fixture = Fixture::new();
    let diff = fixture.apply(&[&real_tar(source.path(), &["--sparse"])]).unwrap();
    let metadata = fs::metadata(diff.join("s")).unwrap();
    assert_eq!(metadata.len(), 100 << 20);
    assert!(metadata.blocks() * 512 < 1 << 20);
}

#[test]
fn whiteouts_and_opaque_directories_take_overlays_form() {
    let layer = Tar::new()
        .directory("d", 0o755)
        .file("d/.wh.gone", b"")
        .file("e/.wh..wh..opq", b"")
        .file("d/.wh..wh.plnk", b"")
        .file(".wh.top", b"")
        .finish();
    let fixture = Fixture::new();
    let diff = fixture.apply(&[&layer]).unwrap();
    assert!(is_whiteout(&diff.join("d/gone")));
    assert!(is_whiteout(&diff.join("top")));
    assert!(is_opaque(&diff.join("e")));
    assert!(!is_opaque(&diff.join("d")));
    let mut names: Vec<_> = fs::read_dir(diff.join("d")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["gone"]);
}

#[test]
fn a_whiteout_hides_what_is_below_and_not_what_its_own_layer_has() {
    let base = Tar::new().file("d/old", b"old").file("f", b"old").file("x/old", b"old").finish();
    let top = Tar::new()
        .directory("d", 0o755)
        .file("d/new", b"new")
        .file(".wh.d", b"")
        .file("f", b"new")
        .file(".wh.f", b"")
        .file(".wh.x", b"")
        .directory("x", 0o700)
        .file("x/new", b"new")
        .file(".wh.y", b"")
        .file("y/new", b"new")
        .finish();
    let fixture = Fixture::new();
    let image = fixture.image(&[&base, &top], None);
    let snapshot = fixture.store.snapshots().prepare("c", &image.chain).unwrap();
    let top = &snapshot.lower[0];
    assert_eq!(fs::read(top.join("d/new")).unwrap(), b"new");
    assert_eq!(fs::read(top.join("f")).unwrap(), b"new");
    for directory in ["d", "x", "y"] {
        assert!(is_opaque(&top.join(directory)), "{directory}");
    }
    assert_eq!(mode(&top.join("x")), 0o700);
}

#[test]
fn the_later_of_two_entries_wins() {
    let layer = Tar::new()
        .file("a", b"first")
        .hard_link("b", "a")
        .file("a", b"second")
        .directory("c/d", 0o755)
        .file("c/d/e", b"e")
        .file("c", b"now a file")
        .symlink("f", "a")
        .file("f", b"now a file")
        .file("g", b"g")
        .directory("g", 0o711)
        .directory("h", 0o700)
        .directory("h", 0o755)
        .finish();
    let fixture = Fixture::new();
    let diff = fixture.apply(&[&layer]).unwrap();
    let read = |name: &str| fs::read_to_string(diff.join(name)).unwrap();
    assert_eq!((read("a").as_str(), read("b").as_str()), ("second", "first"));
    assert_eq!((read("c").as_str(), read("f").as_str()), ("now a file", "now a file"));
    assert_eq!((mode(&diff.join("g")), mode(&diff.join("h"))), (0o711, 0o755));
}

#[test]
fn directories_that_no_entry_names_are_like_those_below() {
    let base = Tar::new()
        .owned_entry(EntryType::Directory, "./", "", (0o750, 3, 4), b"")
        .owned_entry(EntryType::Directory, "tmp/", "", (0o1777, 5, 6), b"")
        .finish();
    let top = Tar::new().file("tmp/sub/file", b"").file("new/file", b"").finish();
    for reversed in [false, true] {
        let fixture = Fixture::new();
        let diff = apply_two(fixture.store.layers(), &base, &top, reversed);
        fixture.image(&[&base, &top], None);
        let of = |name: &str| {
            let metadata = fs::metadata(diff.join(name)).unwrap();
            (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
        };
        assert_eq!(of(""), (0o750, 3, 4), "reversed: {reversed}");
        assert_eq!(of("tmp"), (0o1777, 5, 6));
        assert_eq!(fs::metadata(diff.join("tmp")).unwrap().mtime(), 1_600_000_000);
        assert_eq!(of("tmp/sub"), (0o755, 0, 0));
        assert_eq!(of("new"), (0o755, 0, 0));
    }
}

#[test]
fn layers_wait_for_those_below_that_wait_themselves() {
    let base = Tar::new().directory("tmp", 0o1777).finish();
    let middle = Tar::new().file("tmp/a", b"").hard_link("b", "tmp/a").finish();
    let top = Tar::new().file("tmp/c", b"").hard_link("d", "b").finish();
    let tars = [&base, &middle, &top];
    let ids = tars.map(|tar| Digest::sha256_of(tar));
    for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]] {
        let fixture = Fixture::new();
        for place in order {
            let layers = fixture.store.layers();
            layers.apply(&tars[place][..], "", &ids[place], &ids[..=place], &|_| {}).unwrap();
        }
        let image = fixture.image(&[&base, &middle, &top], None);
        for directory in fixture.store.layers().directories(&image.chain).unwrap() {
            assert_eq!(mode(&directory.join("tmp")), 0o1777, "{order:?}");
        }
        let snapshot = fixture.store.snapshots().prepare("c", &image.chain).unwrap();
        assert!(snapshot.lower[0].join("d").is_file() && snapshot.lower[1].join("b").is_file());
        assert_eq!(mode(&snapshot.upper), 0o755);
    }
}

#[test]
fn hard_links_to_a_layer_below_become_copies() {
    let base = Tar::new()
        .directory("d", 0o755)
        .pax(&[("SCHILY.xattr.user.note", b"n")])
        .owned_entry(EntryType::Regular, "d/file", "", (0o4751, 7, 8), b"content")
        .symlink("d/link", "file")
        .finish();
    let top = Tar::new()
        .directory("e", 0o755)
        .hard_link("e/copy", "d/file")
        .hard_link("e/again", "e/copy")
        .hard_link("e/link", "d/link")
        .finish();
    for reversed in [false, true] {
        let fixture = Fixture::new();
        let diff = apply_two(fixture.store.layers(), &base, &top, reversed);
        fixture.image(&[&base, &top], None);
        let copy = fs::metadata(diff.join("e/copy")).unwrap();
        assert_eq!((copy.mode() & 0o7777, copy.uid(), copy.gid()), (0o4751, 7, 8));
        assert_eq!(copy.mtime(), 1_600_000_000);
        assert_eq!(copy.ino(), fs::metadata(diff.join("e/again")).unwrap().ino());
        assert_eq!(fs::read(diff.join("e/copy")).unwrap(), b"content");
        assert_eq!(xattr(&diff.join("e/copy"), "user.note").unwrap(), b"n");
        assert_eq!(fs::read_link(diff.join("e/link")).unwrap(), Path::new("file"));
        assert_eq!(fs::metadata(diff.join("e")).unwrap().mtime(), 1_600_000_000, "reversed: {reversed}");
    }
}

fn apply_two(layers: &Layers, base: &[u8], top: &[u8], reversed: bool) -> std::path::PathBuf {
    let ids = [Digest::sha256_of(base), Digest::sha256_of(top)];
    let base = || layers.apply(base, "", &ids[0], &ids[..1], &|_| {}).unwrap();
    let top = || layers.apply(top, "", &ids[1], &ids, &|_| {}).unwrap();
    if reversed {
        top();
        base();
    } else {
        base();
        top();
    }
    layers.directories(&chain_ids(&ids)).unwrap().remove(0)
}

#[test]
fn a_hard_link_to_nothing_is_refused() {
    let layer = Tar::new().hard_link("a", "missing").finish();
    let error = Fixture::new().apply(&[&layer]).unwrap_err();
    assert!(matches!(error, Error::LayerEntry { .. }), "{error}");
}

#[test]
fn every_compression_gives_the_same_layer() {
    let plain = Tar::new().file("a", &b"content ".repeat(100_000)).finish();
    let diff_id = Digest::sha256_of(&plain);
    let oci = "application/vnd.oci.image.layer.v1.tar+gzip";
    for blob in [plain.clone(), gzip(&plain), zstd::encode_all(&plain[..], 3).unwrap()] {
        let fixture = Fixture::new();
        let read = std::cell::Cell::new(0);
        fixture.store.layers().apply(&blob[..], oci, &diff_id, &[diff_id], &|n| read.set(n)).unwrap();
        assert_eq!(read.get(), blob.len() as u64);
        assert_eq!(fixture.store.layers().size(&diff_id).unwrap(), 800_000);
    }
}

#[test]
fn what_is_not_the_layer_it_was_said_to_be_leaves_nothing() {
    let plain = Tar::new().file("a", b"content").finish();
    let blob = gzip(&plain);
    let id = Digest::sha256_of(&plain);
    let other = Digest::sha256_of(b"other");
    let fixture = Fixture::new();
    let apply = |blob: &[u8], media_type: &str, id: &Digest| {
        fixture.store.layers().apply(blob, media_type, id, &[*id], &|_| {}).unwrap_err()
    };
    assert!(matches!(apply(&blob, "", &other), Error::DigestMismatch { .. }));
    assert!(matches!(apply(&blob[..blob.len() / 2], "", &id), Error::Read { .. }));
    assert!(matches!(apply(&plain[..700], "", &Digest::sha256_of(&plain[..700])), Error::Read { .. }));
    assert!(matches!(
        apply(b"no tar at all, but long enough to be one".repeat(20).as_slice(), "", &id),
        Error::TarHeader { .. }
    ));
    assert!(matches!(apply(&blob, "application/json", &id), Error::LayerMediaType { .. }));
    assert!(fixture.leftovers().is_empty());
    assert!(!fixture.store.layers().contains(&id));
    assert!(!fixture.store.layers().contains(&other));
}

#[test]
fn equal_applies_at_once_share_one_extraction() {
    let plain = Tar::new().file("a", &vec![7; 1 << 20]).finish();
    let id = Digest::sha256_of(&plain);
    let fixture = Fixture::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fixture.store.layers().apply(&plain[..], "", &id, &[id], &|_| {}).unwrap());
        }
    });
    assert!(fixture.store.layers().contains(&id));
    assert!(fixture.leftovers().is_empty());
}

#[test]
fn what_a_crash_left_in_staging_is_gone_after_open() {
    let fixture = Fixture::new();
    let staging = fixture.root.path().join("overlay/staging/1-1");
    fs::create_dir_all(staging.join("diff/deep")).unwrap();
    fs::create_dir_all(fixture.root.path().join("overlay/trash/1-2/x")).unwrap();
    fs::write(fixture.root.path().join("image/ingest/.tmpabc"), "x").unwrap();
    assert!(fixture.reopen().leftovers().is_empty());
}
