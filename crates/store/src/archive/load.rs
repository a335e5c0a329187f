//! Takes in an archive of images: first all its files, by name and digest, then what its documents make of them.
//!
//! ```text
//! tar ── files ──> scratch (unnamed in the store)      name ─> digest, size, scratch file
//!     ── links ──> name ─> name                        followed in this map only
//! index.json     ─> manifests as they are, blobs published
//! manifest.json  ─> a manifest is made; plain layers are packed
//! ```
//!
//! Both documents: the index wins, because its manifests keep their digests; names come from both.

use super::{Entry, Loaded, Packed};
use crate::error::{Error, Result};
use crate::layers::codec;
use crate::tar::Kind;
use crate::tar::read::Entries;
use crate::{ImageId, Store};
use barge_oci::image_config::MAX_CONFIG;
use barge_oci::manifest::{MAX_DOCUMENT, Parsed, media_type, parse};
use barge_oci::{Descriptor, Digest, Hasher, ImageConfig, Platform, Reference, chain_ids};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Write};

/// The most files and links in an archive: 500 layers of a few hundred images.
const MAX_ITEMS: usize = 100_000;
/// How many links may be followed to a file.
const MAX_LINKS: u32 = 16;
/// How deep indexes may lie in each other.
const MAX_NESTING: u32 = 4;
const IMAGE_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// Something in the archive.
enum Item {
    File { digest: Digest, size: u64, scratch: tempfile::TempPath },
    Link(Vec<u8>),
}

/// The archive's files, out of the tar.
struct Contents<'a> {
    store: &'a Store,
    items: BTreeMap<Vec<u8>, Item>,
}

pub(super) fn load(store: &Store, reader: impl Read, progress: &dyn Fn(u64)) -> Result<Vec<Loaded>> {
    let contents = Contents::read(store, reader, progress)?;
    let index = contents.document("index.json")?;
    let manifest = contents.document("manifest.json")?;
    let entries: Vec<Entry> = match &manifest {
        Some(bytes) => serde_json::from_slice(bytes).map_err(|e| invalid(&format!("manifest.json: {e}")))?,
        None => Vec::new(),
    };
    let mut loaded = BTreeMap::new();
    match (index, manifest) {
        (Some(index), _) => contents.load_layout(&index, &mut loaded)?,
        (None, Some(_)) => {}
        (None, None) => return Err(invalid("it has neither manifest.json nor index.json")),
    }
    for entry in &entries {
        contents.load_entry(entry, &mut loaded)?;
    }
    let loaded =
        loaded.into_iter().map(|(image, names)| Loaded { image, names: names.into_iter().collect() });
    Ok(loaded.collect())
}

type Names = BTreeMap<ImageId, BTreeSet<Reference>>;

impl<'a> Contents<'a> {
    /// Reads the whole tar; content goes to scratch files, hashed.
    fn read(store: &'a Store, reader: impl Read, progress: &dyn Fn(u64)) -> Result<Self> {
        let broken = |source| Error::Read { what: "archive", source };
        let plain = codec::decoder(codec::Counted::new(reader, progress)).map_err(broken)?;
        let mut entries = Entries::new(codec::buffered(plain));
        let mut items = BTreeMap::new();
        while let Some(entry) = entries.next()? {
            let Some(name) = clean(&entry.name, b"") else {
                return Err(invalid(&format!("{:?} leads out of it", String::from_utf8_lossy(&entry.name))));
            };
            let item = match entry.kind {
                Kind::File if entry.sparse.is_none() => scratch(store, &mut entries)?,
                Kind::Symlink => link(&entry.link, parent(&name)),
                Kind::HardLink => link(&entry.link, b""),
                _ => continue,
            };
            items.insert(name, item);
            if items.len() > MAX_ITEMS {
                return Err(invalid("it has too many files"));
            }
        }
        entries.drain()?;
        Ok(Self { store, items })
    }

    /// A file by its name in the archive, following links in it.
    fn file(&self, name: &[u8]) -> Result<(&Digest, u64, &tempfile::TempPath)> {
        let missing = || invalid(&format!("it lacks {:?}", String::from_utf8_lossy(name)));
        let mut place = clean(name, b"").ok_or_else(missing)?;
        for _ in 0..MAX_LINKS {
            match self.items.get(&place).ok_or_else(missing)? {
                Item::File { digest, size, scratch } => return Ok((digest, *size, scratch)),
                Item::Link(target) => place.clone_from(target),
            }
        }
        Err(missing())
    }

    fn read_file(&self, name: &[u8], limit: u64) -> Result<Vec<u8>> {
        let (_, size, scratch) = self.file(name)?;
        if size > limit {
            return Err(invalid(&format!("{:?} is too large", String::from_utf8_lossy(name))));
        }
        std::fs::read(scratch).map_err(|source| Error::Read { what: "archive", source })
    }

    fn document(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.items.contains_key(name.as_bytes()) {
            true => self.read_file(name.as_bytes(), MAX_DOCUMENT).map(Some),
            false => Ok(None),
        }
    }

    /// All images of an OCI layout.
    fn load_layout(&self, index: &[u8], loaded: &mut Names) -> Result<()> {
        let Parsed::Index(index) = parse(index, media_type::OCI_INDEX)? else {
            return Err(invalid("index.json is no index"));
        };
        for descriptor in index.manifests.iter().filter(|descriptor| !descriptor.is_attestation()) {
            let manifest = self.manifest(descriptor, MAX_NESTING)?;
            let id = self.load_manifest(&manifest)?;
            let names = loaded.entry(id).or_default();
            if let Some(name) = name_of(descriptor) {
                self.store.images().tag_manifest(&manifest, &name)?;
                names.insert(name);
            }
        }
        Ok(())
    }

    /// The digest of the manifest that a descriptor means here: itself, or the one for this machine in an index.
    fn manifest(&self, descriptor: &Descriptor, nesting: u32) -> Result<Digest> {
        let bytes = self.read_file(&blob_name(&descriptor.digest), MAX_DOCUMENT)?;
        if Digest::sha256_of(&bytes) != descriptor.digest {
            return Err(Error::DigestMismatch {
                expected: descriptor.digest,
                actual: Digest::sha256_of(&bytes),
            });
        }
        match parse(&bytes, &descriptor.media_type)? {
            Parsed::Manifest(_) => Ok(descriptor.digest),
            Parsed::Index(_) if nesting == 0 => Err(invalid("its indexes are nested too deep")),
            Parsed::Index(mut index) => {
                index.manifests.retain(|inner| self.items.contains_key(&blob_name(&inner.digest)));
                let inner = index
                    .select(&Platform::host())
                    .ok_or_else(|| invalid("it has no image for this platform"))?;
                self.manifest(inner, nesting - 1)
            }
        }
    }

    /// Publishes, applies and records one image of a layout.
    fn load_manifest(&self, digest: &Digest) -> Result<ImageId> {
        let bytes = self.read_file(&blob_name(digest), MAX_DOCUMENT)?;
        let Parsed::Manifest(manifest) = parse(&bytes, "")? else {
            return Err(invalid("a manifest is an index"));
        };
        let config = self.read_file(&blob_name(&manifest.config.digest), MAX_CONFIG)?;
        let diff_ids = ImageConfig::parse(&config)?.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            return Err(invalid("config and manifest do not name the same number of layers"));
        }
        for blob in manifest.layers.iter().chain([&manifest.config]) {
            self.publish(&blob_name(&blob.digest), &blob.digest)?;
        }
        self.store.collector().consider_layers(chain_ids(&diff_ids));
        for (place, layer) in manifest.layers.iter().enumerate() {
            let blob = self.store.blobs().open(&layer.digest)?;
            self.store.layers().apply(
                blob,
                &layer.media_type,
                &diff_ids[place],
                &diff_ids[..=place],
                &|_| {},
            )?;
        }
        self.publish(&blob_name(digest), digest)?;
        Ok(self.store.images().record(digest, None, None)?.id)
    }

    /// Makes the file `name` the blob `digest`.
    fn publish(&self, name: &[u8], digest: &Digest) -> Result<()> {
        if self.store.blobs().contains(digest) {
            return Ok(());
        }
        let (actual, _, scratch) = self.file(name)?;
        if actual != digest {
            return Err(Error::DigestMismatch { expected: *digest, actual: *actual });
        }
        self.store.collector().consider_blobs([*digest]);
        self.store.blobs().adopt(scratch, digest)
    }

    /// One image of Docker's `manifest.json`. If the layout had it already, only its names count.
    fn load_entry(&self, entry: &Entry, loaded: &mut Names) -> Result<()> {
        let (config_digest, ..) = self.file(entry.config.as_bytes())?;
        let id = ImageId(*config_digest);
        if !loaded.contains_key(&id) {
            self.load_archive(entry)?;
        }
        let names = loaded.entry(id).or_default();
        for text in entry.repo_tags.iter().flatten() {
            let name = Reference::parse_normalized(text)?;
            if !names.contains(&name) {
                self.store.images().tag(&id, &name)?;
                names.insert(name);
            }
        }
        Ok(())
    }

    fn load_archive(&self, entry: &Entry) -> Result<()> {
        let config = self.read_file(entry.config.as_bytes(), MAX_CONFIG)?;
        let diff_ids = ImageConfig::parse(&config)?.rootfs.diff_ids;
        if diff_ids.len() != entry.layers.len() {
            return Err(invalid("config and manifest.json do not name the same number of layers"));
        }
        self.store.collector().consider_layers(chain_ids(&diff_ids));
        let mut layers = Vec::with_capacity(diff_ids.len());
        for (place, name) in entry.layers.iter().enumerate() {
            layers.push(self.layer(name.as_bytes(), &diff_ids[..=place])?);
        }
        self.store.record_made(&config, layers, None).map(drop)
    }

    /// Stores and applies one layer of Docker's form, plain or compressed; `chain` ends with its diff id.
    fn layer(&self, name: &[u8], chain: &[Digest]) -> Result<Descriptor> {
        let (digest, size, scratch) = self.file(name)?;
        let open = || File::open(scratch).map_err(|source| Error::Read { what: "archive", source });
        let mut start = Vec::new();
        open()?.take(4).read_to_end(&mut start).map_err(|source| Error::Read { what: "archive", source })?;
        let diff_id = chain.last().unwrap_or(digest);
        self.store.layers().apply(open()?, "", diff_id, chain, &|_| {})?;
        let compressed = match codec::compression(&start) {
            codec::Compression::Gzip => media_type::OCI_LAYER_GZIP,
            codec::Compression::Zstd => media_type::OCI_LAYER_ZSTD,
            codec::Compression::Plain => {
                let Packed { descriptor, .. } = self.store.pack(open()?)?;
                self.store.collector().consider_blobs([descriptor.digest]);
                return Ok(descriptor);
            }
        };
        let (digest, descriptor) = (*digest, Descriptor::new(compressed, *digest, size));
        self.publish(name, &digest)?;
        Ok(descriptor)
    }
}

/// Writes the current entry's content to a file of the store that has no digest's name yet.
fn scratch(store: &Store, entries: &mut Entries<impl std::io::BufRead>) -> Result<Item> {
    let mut file = store.blobs().scratch()?;
    let mut hasher = Hasher::new();
    let mut size = 0;
    entries.read_content(|piece| {
        hasher.update(piece);
        size += piece.len() as u64;
        let path = file.path().to_owned();
        file.write_all(piece).map_err(|source| Error::File { operation: "write", path, source })
    })?;
    // Only the path is kept: an archive may have more files than a process may have open.
    Ok(Item::File { digest: hasher.finish(), size, scratch: file.into_temp_path() })
}

fn link(target: &[u8], directory: &[u8]) -> Item {
    // One that leads out of the archive leads nowhere.
    Item::Link(clean(target, directory).unwrap_or_default())
}

/// A name in the archive, relative to `directory`, without dots; `None` if it leads out.
fn clean(name: &[u8], directory: &[u8]) -> Option<Vec<u8>> {
    let base = if name.starts_with(b"/") { b"" } else { directory };
    let mut path: Vec<&[u8]> = Vec::new();
    for part in base.split(|b| *b == b'/').chain(name.split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => {
                path.pop()?;
            }
            part => path.push(part),
        }
    }
    Some(path.join(&b'/'))
}

fn parent(name: &[u8]) -> &[u8] {
    &name[..name.iter().rposition(|b| *b == b'/').unwrap_or_default()]
}

fn blob_name(digest: &Digest) -> Vec<u8> {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex()).into_bytes()
}

/// The name an index gives to an image: containerd's annotation, or a full name in OCI's.
fn name_of(descriptor: &Descriptor) -> Option<Reference> {
    let full = descriptor.annotations.get(IMAGE_NAME).and_then(|name| Reference::parse_normalized(name).ok());
    let short = descriptor.annotations.get(REF_NAME).filter(|name| name.contains(['/', ':']));
    full.or_else(|| short.and_then(|name| Reference::parse_normalized(name).ok()))
        .filter(|name| name.digest().is_none())
}

fn invalid(reason: &str) -> Error {
    Error::Archive { reason: reason.to_owned() }
}
