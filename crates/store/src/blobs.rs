//! Content by digest: `image/blobs/sha256/<hex>`, and the way in through `image/ingest/`.
//!
//! ```text
//! ingest/<hex>   a download under way or interrupted; grows, survives kill -9, resumed where it was
//!    │ size and digest verified, synced
//!    └─rename─> blobs/sha256/<hex>    whole, never changed
//! ```
//!
//! A blob is synced before it gets its name: a name that is there stands for the right bytes, also
//! after a power cut. Blobs are not verified again when read; who reads a stranger's disk should not
//! trust it. Does not know what a blob is for.

mod ingest;

use crate::claims::Claims;
use crate::document::{remove_file, sync_directory};
use crate::error::{Error, OnFile, Result};
use barge_oci::Digest;
pub use ingest::Ingest;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The blobs of one data root.
#[derive(Debug, Clone)]
pub struct Blobs(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    blobs: PathBuf,
    ingest: PathBuf,
    claims: Arc<Claims>,
}

impl Blobs {
    /// Opens (and makes) the blobs under `layout`, an OCI image layout.
    pub(crate) fn at(layout: &Path) -> Result<Self> {
        let blobs = layout.join("blobs/sha256");
        let ingest = layout.join("ingest");
        for directory in [&blobs, &ingest] {
            fs::create_dir_all(directory).on("create", directory)?;
        }
        remove_unnamed(&ingest)?;
        Ok(Self(Arc::new(Inner { blobs, ingest, claims: Arc::default() })))
    }

    /// Whether the blob is here, whole.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// The blob's length in bytes.
    ///
    /// # Errors
    /// [`Error::BlobNotFound`] if it is not here.
    pub fn size(&self, digest: &Digest) -> Result<u64> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::BlobNotFound { digest: *digest }),
            other => other.map(|metadata| metadata.len()).on("inspect", path),
        }
    }

    /// The blob's content as a file. It stays readable when the blob is removed meanwhile.
    ///
    /// # Errors
    /// [`Error::BlobNotFound`] if it is not here.
    pub fn open(&self, digest: &Digest) -> Result<File> {
        let path = self.path(digest);
        match File::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::BlobNotFound { digest: *digest }),
            other => other.on("open", path),
        }
    }

    /// The whole content of a small blob.
    ///
    /// # Errors
    /// [`Error::BlobNotFound`] if it is not here, [`Error::BlobTooLarge`] if it is more than `limit` bytes.
    pub fn read(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        let file = self.open(digest)?;
        let size = file.metadata().on("inspect", self.path(digest))?.len();
        if size > limit {
            return Err(Error::BlobTooLarge { digest: *digest, size, limit });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        file.take(limit).read_to_end(&mut bytes).on("read", self.path(digest))?;
        Ok(bytes)
    }

    /// Stores `content` and tells its name.
    ///
    /// # Errors
    /// Fails if it cannot be written.
    pub fn put(&self, content: &[u8]) -> Result<Digest> {
        let digest = Digest::sha256_of(content);
        if self.contains(&digest) {
            return Ok(digest);
        }
        let staging = &self.0.ingest;
        let mut file = tempfile::NamedTempFile::new_in(staging).on("create file in", staging)?;
        file.write_all(content).on("write", file.path())?;
        self.publish(file, &digest)?;
        Ok(digest)
    }

    /// A file for content whose name is not known yet: give it to [`Blobs::publish`] when it is.
    pub(crate) fn scratch(&self) -> Result<tempfile::NamedTempFile> {
        let staging = &self.0.ingest;
        tempfile::NamedTempFile::new_in(staging).on("create file in", staging)
    }

    /// Syncs `file`, whose content hashes to `digest`, and gives it its name.
    pub(crate) fn publish(&self, file: tempfile::NamedTempFile, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o644)).on("change mode of", &path)?;
        file.as_file().sync_data().on("sync", &path)?;
        file.persist(&path).map_err(|e| e.error).on("rename to", &path)?;
        sync_directory(&self.0.blobs)
    }

    /// Gives the file `scratch` of this store, whose content hashes to `digest`, that name.
    pub(crate) fn adopt(&self, scratch: &Path, digest: &Digest) -> Result<()> {
        let path = self.path(digest);
        let file = File::open(scratch).on("open", scratch)?;
        rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o644)).on("change mode of", scratch)?;
        file.sync_data().on("sync", scratch)?;
        // Linked, not renamed: the scratch file may be wanted under another name as well.
        match fs::hard_link(scratch, &path) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e).on("link to", &path),
            _ => sync_directory(&self.0.blobs),
        }
    }

    /// Begins to take in the blob `digest`, after the bytes that an earlier, interrupted try has left.
    /// Waits while another thread takes in the same blob. If the blob is here (by then), the ingest is
    /// [complete](Ingest::is_complete) at once.
    ///
    /// # Errors
    /// Fails if the partial file cannot be opened or read.
    pub fn ingest(&self, digest: &Digest, expected_size: Option<u64>) -> Result<Ingest> {
        let claim = self.0.claims.claim(*digest);
        let partial = self.0.ingest.join(digest.hex());
        Ingest::open(claim, partial, self.path(digest), expected_size)
    }

    /// Where the blob is or would be.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.0.blobs.join(digest.hex())
    }

    /// Whether somebody takes this blob in.
    pub(crate) fn is_busy(&self, digest: &Digest) -> bool {
        self.0.claims.is_held(digest)
    }

    /// Takes the blob out of its place; the file that is given back is still to be removed.
    pub(crate) fn discard(&self, digest: &Digest) -> Result<PathBuf> {
        let to = self.0.ingest.join(format!(".gone-{}", digest.hex()));
        fs::rename(self.path(digest), &to).on("remove", self.path(digest))?;
        Ok(to)
    }

    pub(crate) fn blob_directory(&self) -> &Path {
        &self.0.blobs
    }

    pub(crate) fn ingest_directory(&self) -> &Path {
        &self.0.ingest
    }
}

/// Removes what a crash has left in `ingest` that is not a download.
fn remove_unnamed(ingest: &Path) -> Result<()> {
    for entry in fs::read_dir(ingest).on("read", ingest)? {
        let entry = entry.on("read", ingest)?;
        if entry.file_name().to_str().is_none_or(|name| Digest::from_hex(name).is_err()) {
            remove_file(&entry.path())?;
        }
    }
    Ok(())
}
