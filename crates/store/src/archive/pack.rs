//! A plain tar becomes a layer's blob: compressed as it streams by, both digests known at the end.
//!
//! Compressed fast and always the same way, so that the same tar is the same blob. A second thread compresses
//! while the first reads and hashes.

use crate::error::{Error, OnFile, Result};
use crate::layers::codec;
use crate::{Blobs, Store};
use barge_oci::manifest::media_type;
use barge_oci::{Descriptor, Digest, Hasher};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, sync_channel};

const CHUNK: usize = 256 << 10;
/// How many chunks may wait to be compressed.
const DEPTH: usize = 4;

/// A layer that was stored.
#[derive(Debug, Clone)]
pub struct Packed {
    /// The digest of the plain tar.
    pub diff_id: Digest,
    /// The compressed blob.
    pub descriptor: Descriptor,
}

impl Store {
    /// Stores a tar (plain or compressed) as the gzip blob of a layer. Does not look into it.
    ///
    /// # Errors
    /// Fails if it cannot be read or written.
    pub fn pack(&self, reader: impl Read) -> Result<Packed> {
        let broken = |source| Error::Read { what: "layer", source };
        let mut content = codec::decoder(reader).map_err(broken)?;
        let (chunks, waiting) = sync_channel::<Vec<u8>>(DEPTH);
        let blobs = self.blobs();
        std::thread::scope(|scope| {
            let compressor = std::thread::Builder::new()
                .name("pack".to_owned())
                .spawn_scoped(scope, move || compress(blobs, &waiting))
                .on("start thread for", blobs.ingest_directory())?;
            let mut hasher = Hasher::new();
            loop {
                let mut chunk = Vec::new();
                codec::fill(&mut content, &mut chunk, CHUNK).map_err(broken)?;
                if chunk.is_empty() {
                    break;
                }
                hasher.update(&chunk);
                if chunks.send(chunk).is_err() {
                    break;
                }
            }
            let diff_id = hasher.finish();
            // An empty chunk says that the content is whole, and not that reading it has failed.
            let _ = chunks.send(Vec::new());
            drop(chunks);
            let descriptor = compressor.join().unwrap_or(Err(Error::LayerAborted { diff_id }))?;
            Ok(Packed { diff_id, descriptor })
        })
    }
}

fn compress(blobs: &Blobs, chunks: &Receiver<Vec<u8>>) -> Result<Descriptor> {
    let file = blobs.scratch()?;
    let path = file.path().to_owned();
    let mut encoder = GzEncoder::new(Hashed { file, hasher: Hasher::new(), length: 0 }, Compression::fast());
    loop {
        match chunks.recv() {
            Ok(chunk) if chunk.is_empty() => break,
            Ok(chunk) => encoder.write_all(&chunk).on("write", &path)?,
            Err(_) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).on("write", &path),
        }
    }
    let Hashed { file, hasher, length } = encoder.finish().on("write", &path)?;
    let digest = hasher.finish();
    blobs.publish(file, &digest)?;
    Ok(Descriptor::new(media_type::OCI_LAYER_GZIP, digest, length))
}

/// A file that knows its digest.
struct Hashed {
    file: tempfile::NamedTempFile,
    hasher: Hasher,
    length: u64,
}

impl Write for Hashed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
