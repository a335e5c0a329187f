//! One blob on its way in: resumable, hashed as it goes, verified before it gets its name.

use crate::claims::Claim;
use crate::document::{remove_file, sync_directory};
use crate::error::{Error, OnFile, Result};
use crate::writeback::Writeback;
use barge_oci::{Digest, Hasher};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// How much is read at once when what is already there is hashed again.
const REHASH_CHUNK: usize = 256 << 10;

/// A blob being taken in: write its bytes in order, then [commit](Ingest::commit). Dropping it keeps
/// what has come for a later try.
#[derive(Debug)]
pub struct Ingest {
    claim: Claim,
    /// `None`: the blob was there already.
    partial: Option<File>,
    partial_path: PathBuf,
    blob_path: PathBuf,
    hasher: Hasher,
    offset: u64,
    writeback: Writeback,
    expected_size: Option<u64>,
}

impl Ingest {
    pub(super) fn open(
        claim: Claim,
        partial_path: PathBuf,
        blob_path: PathBuf,
        expected_size: Option<u64>,
    ) -> Result<Self> {
        let mut ingest = Self {
            claim,
            partial: None,
            partial_path,
            blob_path,
            hasher: Hasher::new(),
            offset: 0,
            writeback: Writeback::default(),
            expected_size,
        };
        if let Ok(metadata) = fs::metadata(&ingest.blob_path) {
            ingest.offset = metadata.len();
            return Ok(ingest);
        }
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&ingest.partial_path).on("open", &ingest.partial_path)?;
        ingest.partial = Some(file);
        ingest.rehash()?;
        Ok(ingest)
    }

    /// Hashes what an earlier try has left; starts over if that is more than the blob can be.
    fn rehash(&mut self) -> Result<()> {
        let Some(file) = &mut self.partial else { return Ok(()) };
        let mut chunk = vec![0; REHASH_CHUNK];
        loop {
            let read = match file.read(&mut chunk) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                other => other.on("read", &self.partial_path)?,
            };
            if read == 0 {
                break;
            }
            self.hasher.update(&chunk[..read]);
            self.offset += read as u64;
        }
        self.writeback = Writeback::from(self.offset);
        if self.expected_size.is_some_and(|expected| self.offset > expected) {
            self.restart()?;
        }
        Ok(())
    }

    /// Which blob this is.
    pub fn digest(&self) -> &Digest {
        self.claim.digest()
    }

    /// How many bytes are already there (and hashed): the next byte to write is this one.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the blob is in the store already: there is nothing to write, [`Ingest::commit`] does nothing.
    pub fn is_complete(&self) -> bool {
        self.partial.is_none()
    }

    /// A second handle on the bytes that are there, from the first on: for who applies the layer while
    /// it comes in.
    ///
    /// # Errors
    /// Fails if the file cannot be opened again.
    pub fn reader(&self) -> Result<File> {
        let path: &Path = if self.is_complete() { &self.blob_path } else { &self.partial_path };
        File::open(path).on("open", path)
    }

    /// Forgets all bytes: the other side has begun from the start.
    ///
    /// # Errors
    /// Fails if the partial file cannot be emptied.
    pub fn restart(&mut self) -> Result<()> {
        if let Some(file) = &mut self.partial {
            file.set_len(0).on("truncate", &self.partial_path)?;
            file.seek(SeekFrom::Start(0)).on("seek in", &self.partial_path)?;
            self.hasher = Hasher::new();
            self.offset = 0;
            self.writeback = Writeback::default();
        }
        Ok(())
    }

    /// Verifies size and digest, syncs, and gives the blob its name. A blob that is wrong is thrown
    /// away, so that a retry begins from nothing; one that is merely short is kept to be resumed.
    ///
    /// # Errors
    /// [`Error::SizeMismatch`] or [`Error::DigestMismatch`] if the bytes are not the blob's; else if they
    /// cannot be written.
    pub fn commit(mut self) -> Result<()> {
        let Some(file) = self.partial.take() else { return Ok(()) };
        let digest = *self.claim.digest();
        if let Some(expected) = self.expected_size
            && expected != self.offset
        {
            return Err(Error::SizeMismatch { digest, expected, actual: self.offset });
        }
        let actual = std::mem::take(&mut self.hasher).finish();
        if actual != digest {
            remove_file(&self.partial_path)?;
            return Err(Error::DigestMismatch { expected: digest, actual });
        }
        file.sync_data().on("sync", &self.partial_path)?;
        fs::rename(&self.partial_path, &self.blob_path).on("rename to", &self.blob_path)?;
        sync_directory(self.blob_path.parent().unwrap_or(Path::new("/")))
    }

    /// Throws away what has come.
    ///
    /// # Errors
    /// Fails if the partial file cannot be removed.
    pub fn discard(self) -> Result<()> {
        match self.partial {
            Some(_) => remove_file(&self.partial_path),
            None => Ok(()),
        }
    }
}

impl Write for Ingest {
    /// Takes the next bytes. More than the descriptor promised is an error of kind `InvalidData`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = &mut self.partial else {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the blob is complete"));
        };
        let after = self.offset.saturating_add(bytes.len() as u64);
        if let Some(expected) = self.expected_size
            && after > expected
        {
            let error = Error::SizeMismatch { digest: *self.claim.digest(), expected, actual: after };
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        let written = file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.offset += written as u64;
        self.writeback.reached(file, self.offset);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
