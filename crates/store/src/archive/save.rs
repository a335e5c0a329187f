//! Writes images as one tar. Layers are written as they are stored, compressed: every reader of both forms takes
//! them so, and the manifest keeps its digest.

use super::Entry;
use crate::error::{Error, Result};
use crate::tar::write::Writer;
use crate::tar::{self, Kind, Metadata};
use crate::{Image, Store};
use barge_oci::manifest::{MAX_DOCUMENT, Parsed, parse};
use barge_oci::{Descriptor, Digest, Index, Manifest, Reference};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};

const IMAGE_NAME: &str = "io.containerd.image.name";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// One image to be written, with the names it was asked for by.
struct Chosen {
    image: Image,
    manifest: Manifest,
    names: BTreeSet<Reference>,
}

pub(super) fn save(store: &Store, names: &[String], writer: impl Write) -> Result<()> {
    let chosen = choose(store, names)?;
    let mut archive = Archive(Writer::new(writer));
    archive.directory("blobs/")?;
    archive.directory("blobs/sha256/")?;
    let mut blobs = BTreeSet::new();
    for Chosen { image, manifest, .. } in &chosen {
        blobs.extend([image.manifest, manifest.config.digest]);
        blobs.extend(manifest.layers.iter().map(|layer| layer.digest));
    }
    for digest in &blobs {
        archive.file(&blob_name(digest), store.blobs().size(digest)?, store.blobs().open(digest)?)?;
    }
    let index = Index {
        schema_version: 2,
        media_type: barge_oci::manifest::media_type::OCI_INDEX.to_owned(),
        manifests: chosen.iter().flat_map(descriptors).collect(),
        annotations: BTreeMap::new(),
    };
    archive.json("index.json", &index)?;
    archive.json("manifest.json", &chosen.iter().map(entry).collect::<Vec<_>>())?;
    archive.bytes("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    archive.finish()
}

/// What each name means, in Docker's way: a repository without tag means all its tags.
fn choose(store: &Store, names: &[String]) -> Result<Vec<Chosen>> {
    let mut chosen: BTreeMap<Digest, Chosen> = BTreeMap::new();
    for name in names {
        for (image, tag) in meant(store, name)? {
            let slot = match chosen.entry(image.manifest) {
                std::collections::btree_map::Entry::Occupied(slot) => slot.into_mut(),
                std::collections::btree_map::Entry::Vacant(slot) => {
                    let manifest = read_manifest(store, &image.manifest)?;
                    slot.insert(Chosen { image, manifest, names: BTreeSet::new() })
                }
            };
            slot.names.extend(tag);
        }
    }
    Ok(chosen.into_values().collect())
}

/// The images that one name means, and the tag that each was named by.
fn meant(store: &Store, name: &str) -> Result<Vec<(Image, Option<Reference>)>> {
    let reference = Reference::parse_named(name).ok();
    if let Some(reference) = reference.as_ref().filter(|name| name.tag().is_none() && name.digest().is_none())
    {
        let mut found = Vec::new();
        for tag in store.images().list().into_iter().flat_map(|image| image.tags) {
            if tag.repository() == *reference {
                found.push((store.images().resolve(&tag.to_string())?, Some(tag)));
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    let image = store.images().resolve(name)?;
    // An id can look like a name: the tag counts only if the image has it.
    let tag = reference.filter(|tag| image.tags.contains(tag));
    Ok(vec![(image, tag)])
}

fn read_manifest(store: &Store, digest: &Digest) -> Result<Manifest> {
    match parse(&store.blobs().read(digest, MAX_DOCUMENT)?, "")? {
        Parsed::Manifest(manifest) => Ok(manifest),
        Parsed::Index(_) => Err(Error::ImageInvalid { digest: *digest, reason: "it is an index".to_owned() }),
    }
}

fn blob_name(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// The image's entries in `index.json`: one for each name.
fn descriptors(chosen: &Chosen) -> Vec<Descriptor> {
    let image = &chosen.image;
    let plain = Descriptor {
        platform: Some(image.config.platform()),
        ..Descriptor::new(&image.manifest_media_type, image.manifest, image.manifest_size)
    };
    if chosen.names.is_empty() {
        return vec![plain];
    }
    let named = |name: &Reference| {
        let tag = name.tag().unwrap_or_default().to_owned();
        let annotations = [(IMAGE_NAME.to_owned(), name.to_string()), (REF_NAME.to_owned(), tag)].into();
        Descriptor { annotations, ..plain.clone() }
    };
    chosen.names.iter().map(named).collect()
}

fn entry(chosen: &Chosen) -> Entry {
    let names: Vec<String> = chosen.names.iter().map(Reference::familiar).collect();
    Entry {
        config: blob_name(&chosen.manifest.config.digest),
        repo_tags: (!names.is_empty()).then_some(names),
        layers: chosen.manifest.layers.iter().map(|layer| blob_name(&layer.digest)).collect(),
    }
}

/// The tar being written. Its entries have no owner and no time: the same images make the same bytes.
struct Archive<W: Write>(Writer<W>);

impl<W: Write> Archive<W> {
    fn directory(&mut self, name: &str) -> Result<()> {
        self.append(name, Kind::Directory, 0o755, 0, std::io::empty())
    }

    fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        self.file(name, bytes.len() as u64, bytes)
    }

    fn json(&mut self, name: &str, document: &impl serde::Serialize) -> Result<()> {
        let bytes =
            serde_json::to_vec(document).map_err(|source| Error::WriteArchive { source: source.into() })?;
        self.bytes(name, &bytes)
    }

    fn file(&mut self, name: &str, size: u64, content: impl Read) -> Result<()> {
        self.append(name, Kind::File, 0o644, size, content)
    }

    fn append(&mut self, name: &str, kind: Kind, mode: u32, size: u64, content: impl Read) -> Result<()> {
        let entry = tar::Entry {
            name: name.as_bytes().to_vec(),
            kind,
            metadata: Metadata { mode, ..Metadata::default() },
            link: Vec::new(),
            device: (0, 0),
            size,
            sparse: None,
        };
        self.0.append(&entry, content).map_err(|source| Error::WriteArchive { source })
    }

    fn finish(self) -> Result<()> {
        let mut writer = self.0.finish().map_err(|source| Error::WriteArchive { source })?;
        writer.flush().map_err(|source| Error::WriteArchive { source })
    }
}
