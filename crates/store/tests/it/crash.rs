//! A daemon killed at any instant, and a disk that is full: what is there is whole, and nothing else stays.

use crate::support::{Fixture, Tar, gzip, scratch};
use barge_oci::{Digest, Reference};
use barge_store::{Error, Import, Store};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

const ROOT: &str = "BARGE_TEST_CRASH_ROOT";

/// Images that differ, each with a hundred files.
fn tar_of(number: usize) -> Vec<u8> {
    (0..100)
        .fold(Tar::new(), |tar, file| {
            tar.file(&format!("d{}/f{file}", file % 7), &number.to_le_bytes().repeat(file))
        })
        .finish()
}

/// Not a test by itself: the process that is killed.
#[test]
#[ignore = "run by a_kill_at_any_instant_leaves_whole_images"]
fn victim() {
    let Some(root) = std::env::var_os(ROOT) else { return };
    let store = Store::open(Path::new(&root)).unwrap();
    for number in (0..4).cycle() {
        let reference = Reference::parse_normalized(&format!("image:{number}")).unwrap();
        let import = Import { reference: Some(reference), ..Import::default() };
        let image = store.import(&tar_of(number)[..], import).unwrap();
        let content = vec![7; 3 << 20];
        let mut ingest = store.blobs().ingest(&Digest::sha256_of(&content), None).unwrap();
        let offset = usize::try_from(ingest.offset()).unwrap();
        for piece in content[offset..].chunks(64 << 10) {
            ingest.write_all(piece).unwrap();
        }
        ingest.discard().unwrap();
        store.snapshots().remove("container").unwrap();
        store.snapshots().prepare("container", &image.chain).unwrap();
        for image in store.images().list() {
            if image.tags.is_empty() || number == 3 {
                store.images().remove(&image.id).unwrap();
            }
        }
    }
}

#[test]
fn a_kill_at_any_instant_leaves_whole_images() {
    let root = scratch();
    let mut seen = 0;
    for round in 0..60u64 {
        if round >= 8 && seen > 0 {
            break;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "crash::victim"])
            .env(ROOT, root.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(20 + (round * 137) % 700));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = Store::open(root.path()).unwrap();
        for image in store.images().list() {
            seen += 1;
            let diff = store.layers().directories(&image.chain).unwrap().remove(0);
            assert_eq!(
                (0..7).map(|d| fs::read_dir(diff.join(format!("d{d}"))).unwrap().count()).sum::<usize>(),
                100
            );
            for digest in [image.manifest, image.config_digest] {
                assert_eq!(Digest::sha256_of(&store.blobs().read(&digest, 1 << 20).unwrap()), digest);
            }
            store.save(&[image.id.to_string()], std::io::sink()).unwrap();
        }
        if store.snapshots().open("container").is_ok() {
            store.snapshots().open("container").unwrap().mount_detached().unwrap();
        }
        for name in ["overlay/staging", "overlay/trash"] {
            assert_eq!(fs::read_dir(root.path().join(name)).unwrap().count(), 0);
        }
        for entry in fs::read_dir(root.path().join("image/ingest")).unwrap() {
            assert!(Digest::from_hex(entry.unwrap().file_name().to_str().unwrap()).is_ok());
        }
    }
    assert!(seen > 0);
    // Four names, and one image that has just lost its name.
    assert!(Store::open(root.path()).unwrap().images().list().len() <= 5);
}

/// A small file system, unmounted on drop.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn new(options: &str) -> Self {
        let directory = scratch();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(directory.path())
            .status();
        assert!(mount.unwrap().success());
        Self(directory)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn all_files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(all_files(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let disk = SmallDisk::new("size=4m");
    let store = Store::open(disk.0.path()).unwrap();
    let before = all_files(disk.0.path());
    let noise: Vec<u8> = (0..6u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let big = Tar::new().file("small", b"x").file("big", &noise).finish();
    let packed = gzip(&Tar::new().file("zeros", &vec![0; 16 << 20]).finish());
    let id = Digest::sha256_of(&big);
    let errors = [
        store.layers().apply(&big[..], "", &id, &[id], &|_| {}).unwrap_err(),
        store.import(&big[..], Import::default()).unwrap_err(),
        store.import(&packed[..], Import::default()).unwrap_err(),
        store.blobs().put(&noise).unwrap_err(),
    ];
    for error in errors {
        assert!(error.is_no_space(), "{error}");
        assert!(error.to_string().contains("No space left on device"), "{error}");
    }
    let mut ingest = store.blobs().ingest(&Digest::sha256_of(&noise), None).unwrap();
    assert_eq!(ingest.write_all(&noise).unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    ingest.discard().unwrap();
    assert_eq!(all_files(disk.0.path()), before);
}

#[test]
fn a_file_system_without_inodes_left_is_full_too() {
    let disk = SmallDisk::new("size=16m,nr_inodes=80");
    let store = Store::open(disk.0.path()).unwrap();
    let layer = tar_of(1);
    let id = Digest::sha256_of(&layer);
    let error = store.layers().apply(&layer[..], "", &id, &[id], &|_| {}).unwrap_err();
    assert!(error.is_no_space(), "{error}");
    assert_eq!(fs::read_dir(disk.0.path().join("overlay/staging")).unwrap().count(), 0);
}

#[test]
fn a_place_that_cannot_hold_overlay_layers_is_told_at_open() {
    let fixture = Fixture::new();
    let lower = fixture.store.snapshots().prepare("c", &[]).unwrap();
    let mount = lower.mount_detached().unwrap();
    // Overlay does not take another overlay as its upper layer.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&mount));
    let error = Store::open(Path::new(&path)).unwrap_err();
    assert!(matches!(error, Error::OverlayUnsupported { .. }), "{error}");
}
