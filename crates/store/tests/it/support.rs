//! A store in a directory of its own, tars written by hand, images made of them.

use barge_oci::image_config::RootFs;
use barge_oci::manifest::media_type;
use barge_oci::{ContainerDefaults, Descriptor, Digest, ImageConfig, Manifest, Reference, chain_ids};
use barge_store::{Image, Result, Store};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tar::{EntryType, Header};
use tempfile::TempDir;

/// A store under a directory that goes with it. On `/var/tmp`: overlay cannot stand on overlay or every tmpfs.
pub(crate) struct Fixture {
    pub(crate) root: TempDir,
    pub(crate) store: Store,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let root = scratch();
        let store = Store::open(root.path()).unwrap();
        Self { root, store }
    }

    /// Ends the store and opens it again, as a new daemon does.
    pub(crate) fn reopen(self) -> Self {
        let Self { root, store } = self;
        drop(store);
        let store = Store::open(root.path()).unwrap();
        Self { root, store }
    }

    /// Applies plain or compressed tars as the layers of one image, base first; gives the topmost directory.
    pub(crate) fn apply(&self, layers: &[&[u8]]) -> Result<PathBuf> {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::sha256_of(layer)).collect();
        for (place, layer) in layers.iter().enumerate() {
            self.store.layers().apply(*layer, "", &diff_ids[place], &diff_ids[..=place], &|_| {})?;
        }
        Ok(self.store.layers().directories(&chain_ids(&diff_ids))?.remove(0))
    }

    /// Makes an image of plain tars.
    pub(crate) fn image(&self, layers: &[&[u8]], name: Option<&str>) -> Image {
        let config = ImageConfig {
            os: "linux".to_owned(),
            architecture: "amd64".to_owned(),
            rootfs: RootFs {
                kind: "layers".to_owned(),
                diff_ids: layers.iter().map(|layer| Digest::sha256_of(layer)).collect(),
            },
            config: ContainerDefaults { cmd: Some(vec!["sh".to_owned()]), ..ContainerDefaults::default() },
            ..ImageConfig::default()
        };
        let config = config.to_bytes().unwrap();
        let _lease = self.store.lease();
        let blobs = self.store.blobs();
        blobs.put(&config).unwrap();
        for layer in layers {
            blobs.put(layer).unwrap();
        }
        if !layers.is_empty() {
            self.apply(layers).unwrap();
        }
        let layers = layers.iter().map(|layer| Descriptor::of(media_type::OCI_LAYER, layer)).collect();
        let manifest = Manifest::build(Descriptor::of(media_type::OCI_CONFIG, &config), layers).unwrap();
        let manifest = blobs.put(&manifest).unwrap();
        let reference = name.map(|name| Reference::parse_normalized(name).unwrap());
        self.store.images().record(&manifest, reference.as_ref(), None).unwrap()
    }

    /// What lies in `overlay/staging`, `overlay/trash` and (not being downloads) `image/ingest`.
    pub(crate) fn leftovers(&self) -> Vec<PathBuf> {
        let directories = ["overlay/staging", "overlay/trash", "image/ingest"];
        let list = |name| std::fs::read_dir(self.root.path().join(name)).unwrap();
        directories.into_iter().flat_map(list).map(|entry| entry.unwrap().path()).collect()
    }
}

/// A directory on a disk.
pub(crate) fn scratch() -> TempDir {
    tempfile::Builder::new().prefix("barge-store-").tempdir_in("/var/tmp").unwrap()
}

/// A tar, entry by entry; nothing is checked, so that it can be as wrong as a stranger's.
#[derive(Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", 0o644, content)
    }

    pub(crate) fn directory(self, name: &str, mode: u32) -> Self {
        self.entry(EntryType::Directory, name, "", mode, b"")
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name, target, 0o777, b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name, target, 0o644, b"")
    }

    pub(crate) fn entry(self, kind: EntryType, name: &str, link: &str, mode: u32, content: &[u8]) -> Self {
        self.owned_entry(kind, name, link, (mode, 0, 0), content)
    }

    pub(crate) fn owned_entry(
        self,
        kind: EntryType,
        name: &str,
        link: &str,
        (mode, uid, gid): (u32, u64, u64),
        content: &[u8],
    ) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_mtime(1_600_000_000);
        header.set_size(content.len() as u64);
        header.set_cksum();
        self.raw(&header, content)
    }

    /// A PAX header for the entry that follows.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut body = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (1..).find(|digits| (rest + digits).to_string().len() == *digits).unwrap() + rest;
            write!(body, "{length} {key}=").unwrap();
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        self.entry(EntryType::XHeader, "pax", "", 0o644, &body)
    }

    pub(crate) fn raw(mut self, header: &Header, content: &[u8]) -> Self {
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

/// What GNU tar makes of a directory.
pub(crate) fn real_tar(directory: &Path, options: &[&str]) -> Vec<u8> {
    let output = Command::new("tar")
        .args(["--numeric-owner", "-C"])
        .arg(directory)
        .args(options)
        .args(if options.contains(&"--format=gnu") { &[][..] } else { &["--xattrs", "--xattrs-include=*"] })
        .args(["-cf", "-", "."])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub(crate) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn sh(script: &str, directory: &Path) {
    let status = Command::new("sh").args(["-ec", script]).current_dir(directory).status().unwrap();
    assert!(status.success(), "{script}");
}

pub(crate) fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 65536];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}
