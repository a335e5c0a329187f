//! A layer can't write outside its root, and can't take memory without bound.
//!
//! Beside each layer lies a directory with a file that must stay as it is; after every attack all of the
//! fixture's directory outside the layer is compared.

use crate::support::{Fixture, Tar, scratch, xattr};
use barge_store::Error;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use tar::{EntryType, Header};

/// A directory outside the store, and its absolute name.
struct Outside(tempfile::TempDir);

impl Outside {
    fn new() -> Self {
        let directory = scratch();
        fs::write(directory.path().join("victim"), "untouched").unwrap();
        Self(directory)
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn assert_untouched(&self) {
        let names: Vec<_> =
            fs::read_dir(self.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["victim"]);
        let victim = self.0.path().join("victim");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "untouched");
        let metadata = fs::metadata(&victim).unwrap();
        assert_eq!((metadata.nlink(), metadata.mode() & 0o7777), (1, 0o644));
    }
}

fn apply(layer: Tar) -> (Fixture, Result<std::path::PathBuf, Error>) {
    let fixture = Fixture::new();
    let result = fixture.apply(&[&layer.finish()]);
    assert!(fixture.leftovers().is_empty());
    (fixture, result)
}

#[test]
fn absolute_names_are_inside() {
    let (_fixture, diff) = apply(Tar::new().file("/barge-test-absolute", b"x").file("//a//b", b"x"));
    let diff = diff.unwrap();
    assert!(diff.join("barge-test-absolute").is_file() && diff.join("a/b").is_file());
    assert!(!Path::new("/barge-test-absolute").exists());
}

#[test]
fn names_that_lead_above_the_root_are_refused() {
    for name in ["../evil", "a/../../evil", "/../evil", "..", "a/../..", "./../evil"] {
        for layer in [
            Tar::new().file(name, b"x"),
            Tar::new().directory(name, 0o755),
            Tar::new().symlink(name, "x"),
            Tar::new().pax(&[("path", name.as_bytes())]).file("fine", b"x"),
            Tar::new().file("a", b"").hard_link("b", name),
            Tar::new().file("a", b"").hard_link(name, "a"),
        ] {
            let (fixture, result) = apply(layer);
            assert!(matches!(result, Err(Error::LayerEntry { .. })), "{name}: {result:?}");
            assert!(!fixture.root.path().join("overlay/evil").exists());
        }
    }
}

#[test]
fn nothing_is_written_through_symlinks_that_lead_out() {
    let outside = Outside::new();
    let path = outside.path();
    let up = "../".repeat(20);
    for target in [path.to_owned(), format!("{up}{path}"), format!("{up}../{}", &path[1..])] {
        let attacks = [
            Tar::new().symlink("l", &target).file("l/victim", b"x"),
            Tar::new().symlink("l", &target).file("l/new", b"x"),
            Tar::new().symlink("l", &target).directory("l/new", 0o755),
            Tar::new().symlink("l", &target).symlink("l/new", "x"),
            Tar::new().symlink("l", &target).hard_link("new", "l/victim"),
            Tar::new().symlink("l", &target).file("a", b"").hard_link("l/new", "a"),
            Tar::new().symlink("l", &target).entry(EntryType::Fifo, "l/new", "", 0o644, b""),
            Tar::new().symlink("l", &target).file("l/.wh.victim", b""),
            Tar::new().symlink("l", &target).file("l/.wh..wh..opq", b""),
            Tar::new().symlink("l", &format!("{target}/victim")).file("l", b"x"),
            Tar::new().symlink("l", &target).directory("l", 0o777),
            Tar::new().symlink("m", &target).symlink("l", "m/.").file("l/victim", b"x"),
            Tar::new().directory("d", 0o755).symlink("d/l", &target).file("d/l/../l/victim", b"x"),
        ];
        for attack in attacks {
            let (_fixture, _any_result) = apply(attack);
            outside.assert_untouched();
            assert_eq!(xattr(Path::new(path), "trusted.overlay.opaque"), None);
        }
    }
}

#[test]
fn a_symlink_swapped_in_for_a_directory_between_two_entries_leads_nowhere() {
    let outside = Outside::new();
    let attack = Tar::new()
        .directory("d", 0o755)
        .file("d/first", b"x")
        .symlink("d", outside.path())
        .file("d/victim", b"x")
        .directory("e/f", 0o755)
        .file("e/f/first", b"x")
        .symlink("e", &format!("{}/..", outside.path()))
        .file("e/f/victim", b"x");
    let (_fixture, _any_result) = apply(attack);
    outside.assert_untouched();
}

#[test]
fn directory_metadata_put_on_at_the_end_does_not_follow_a_later_symlink() {
    let outside = Outside::new();
    let before = fs::metadata(outside.path()).unwrap();
    let attack = Tar::new()
        .owned_entry(EntryType::Directory, "d", "", (0o777, 99, 99), b"")
        .symlink("d", outside.path())
        .owned_entry(EntryType::Directory, "e/f", "", (0o777, 99, 99), b"")
        .symlink("e", &format!("{}/..", outside.path()));
    let (_fixture, _any_result) = apply(attack);
    let after = fs::metadata(outside.path()).unwrap();
    assert_eq!((before.mode(), before.uid(), before.mtime()), (after.mode(), after.uid(), after.mtime()));
}

#[test]
fn hard_links_lead_out_neither_by_name_nor_through_a_symlink() {
    let outside = Outside::new();
    for attack in [
        Tar::new().hard_link("h", &format!("{}/victim", outside.path())),
        Tar::new().symlink("s", &format!("{}/victim", outside.path())).hard_link("h", "s").file("h", b"x"),
        Tar::new().symlink("s", outside.path()).hard_link("h", "s/victim").file("h", b"x"),
    ] {
        let (_fixture, _any_result) = apply(attack);
        outside.assert_untouched();
    }
}

#[test]
fn a_symlink_inside_is_followed_as_a_container_would() {
    let layer = Tar::new()
        .directory("usr/lib", 0o755)
        .symlink("lib", "usr/lib")
        .file("lib/a", b"a")
        .symlink("abs", "/usr/lib")
        .file("abs/b", b"b")
        .symlink("dangling", "not/yet")
        .file("dangling/c", b"c");
    let (_fixture, diff) = apply(layer);
    let diff = diff.unwrap();
    assert_eq!(fs::read(diff.join("usr/lib/a")).unwrap(), b"a");
    assert_eq!(fs::read(diff.join("usr/lib/b")).unwrap(), b"b");
    assert_eq!(fs::read(diff.join("not/yet/c")).unwrap(), b"c");
}

#[test]
fn symlink_loops_and_files_as_directories_are_errors() {
    for attack in [
        Tar::new().symlink("a", "b").symlink("b", "a").file("a/x", b""),
        Tar::new().symlink("a", "a").file("a/x", b""),
        Tar::new().file("a", b"").file("a/x", b""),
        Tar::new().file(".", b""),
        Tar::new().file(".wh.", b""),
        Tar::new().file(".wh...", b""),
        Tar::new().file("d/.wh..", b""),
    ] {
        let (_fixture, result) = apply(attack);
        assert!(result.is_err(), "{result:?}");
    }
}

#[test]
fn overlays_own_attributes_cannot_be_smuggled_in() {
    let attributes: [(&str, &[u8]); 4] = [
        ("SCHILY.xattr.trusted.overlay.redirect", b"/other"),
        ("SCHILY.xattr.trusted.overlay.metacopy", b""),
        ("SCHILY.xattr.user.overlay.redirect", b"/other"),
        ("SCHILY.xattr.user.fine", b"yes"),
    ];
    let layer = Tar::new().pax(&attributes).directory("d", 0o755).pax(&attributes).file("f", b"");
    let (_fixture, diff) = apply(layer);
    for path in [diff.as_ref().unwrap().join("d"), diff.unwrap().join("f")] {
        assert_eq!(xattr(&path, "user.fine").unwrap(), b"yes");
        for (name, _) in &attributes[..3] {
            assert_eq!(xattr(&path, name.strip_prefix("SCHILY.xattr.").unwrap()), None);
        }
    }
}

#[test]
fn headers_that_claim_too_much_are_refused() {
    let sized = |kind: EntryType, size: u64| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_path("x").unwrap();
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        header
    };
    for kind in [EntryType::XHeader, EntryType::GNULongName, EntryType::GNULongLink] {
        let (_fixture, result) = apply(Tar::new().raw(&sized(kind, 1 << 40), b"x"));
        assert!(matches!(result, Err(Error::TarHeader { .. })), "{result:?}");
    }
    let mut wrong = sized(EntryType::Regular, 0);
    wrong.as_old_mut().mode[0] = b'7';
    let mut owner = sized(EntryType::Regular, 0);
    owner.set_uid(u64::from(u32::MAX));
    owner.set_cksum();
    for header in [wrong, owner, sized(EntryType::new(b'V'), 0), sized(EntryType::Regular, u64::MAX)] {
        let (_fixture, result) = apply(Tar::new().raw(&header, b""));
        assert!(matches!(result, Err(Error::TarHeader { .. })), "{result:?}");
    }
    let (_fixture, result) = apply(Tar::new().raw(&sized(EntryType::Regular, 1 << 40), b"short"));
    assert!(matches!(result, Err(Error::Read { .. })), "{result:?}");
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    let maps: [&[(&str, &[u8])]; 5] = [
        &[("GNU.sparse.map", b"0,9"), ("GNU.sparse.size", b"9")],
        &[("GNU.sparse.map", b"0,2,1,2"), ("GNU.sparse.size", b"9")],
        &[("GNU.sparse.map", b"8,4"), ("GNU.sparse.size", b"9")],
        &[("GNU.sparse.map", b"x"), ("GNU.sparse.size", b"9")],
        &[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")],
    ];
    for map in maps {
        let (_fixture, result) = apply(Tar::new().pax(map).file("s", b"1234"));
        assert!(matches!(result, Err(Error::TarHeader { .. })), "{map:?} {result:?}");
    }
}
