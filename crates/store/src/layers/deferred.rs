//! What can only be done when all entries of a layer have been extracted.
//!
//! A directory's time changes with every entry made in it, and its mode might forbid making them: both are put on
//! at the end. Until then they lie in an unnamed file, not in memory: a layer may have any number of
//! directories. Directories that no entry names, and links to files that are not in this layer, are kept in
//! memory, and bounded.

use super::metadata;
use super::root::{Root, extract};
use super::settle::Unsettled;
use crate::error::{Error, OnFile, Result};
use crate::tar::{Metadata, Time};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

/// The most bytes of names that are kept in memory for one layer.
const MAX_HELD: usize = 64 << 20;
/// What one name costs besides its bytes.
const OVERHEAD: usize = 64;

/// Work put off until the end of a layer.
pub(super) struct Deferred {
    directories: BufWriter<File>,
    implicit: BTreeSet<Vec<u8>>,
    links: Vec<(Vec<u8>, Vec<u8>)>,
    held: usize,
}

impl Deferred {
    pub(super) fn new(staging: &Path) -> Result<Self> {
        let file = tempfile::tempfile_in(staging).on("create file in", staging)?;
        Ok(Self { directories: BufWriter::new(file), implicit: BTreeSet::new(), links: Vec::new(), held: 0 })
    }

    /// A directory that an entry names.
    pub(super) fn directory(&mut self, path: &[u8], metadata: &Metadata) -> Result<()> {
        self.implicit.remove(path);
        write_record(&mut self.directories, path, metadata)
            .map_err(|source| Error::Extract { name: String::from_utf8_lossy(path).into_owned(), source })
    }

    /// A directory that was made because something is in it.
    pub(super) fn implicit(&mut self, path: &[u8]) -> Result<()> {
        self.hold(path.len())?;
        self.implicit.insert(path.to_owned());
        Ok(())
    }

    /// A hard link whose target is not in this layer.
    pub(super) fn link(&mut self, name: &[u8], target: &[u8]) -> Result<()> {
        self.hold(name.len() + target.len())?;
        self.links.push((name.to_owned(), target.to_owned()));
        Ok(())
    }

    fn hold(&mut self, bytes: usize) -> Result<()> {
        self.held += bytes + OVERHEAD;
        if self.held > MAX_HELD {
            let reason = "too many directories without an entry or links out of the layer".to_owned();
            return Err(Error::TarHeader { reason });
        }
        Ok(())
    }

    /// What needs the layers below; the rest is put on by `directories`.
    pub(super) fn finish(self) -> Result<(Directories, Unsettled)> {
        let unsettled = Unsettled { implicit: self.implicit.into_iter().collect(), links: self.links };
        let mut file = self
            .directories
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .on("write", "list of directories")?;
        file.rewind().on("read", "list of directories")?;
        Ok((Directories(BufReader::new(file)), unsettled))
    }
}

/// The directories that entries have named.
pub(super) struct Directories(BufReader<File>);

impl Directories {
    /// Puts owner, mode, attributes and times on each that is still there.
    pub(super) fn apply(mut self, root: &Root) -> Result<()> {
        while let Some((path, metadata)) = read_record(&mut self.0).on("read", "list of directories")? {
            let directory = match root.directory(&path, OFlags::RDONLY | OFlags::NOFOLLOW) {
                Ok(fd) => File::from(fd),
                // A later entry has put something else in its place.
                Err(e) if is_replaced(&e) => continue,
                Err(e) => return Err(extract(&path, e)),
            };
            metadata::apply(&directory, &metadata, false).map_err(|e| extract(&path, e))?;
        }
        Ok(())
    }
}

pub(super) fn is_replaced(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::NOENT, Errno::NOTDIR, Errno::LOOP].iter().any(|errno| code == Some(errno.raw_os_error()))
}

fn write_record(out: &mut impl Write, path: &[u8], metadata: &Metadata) -> io::Result<()> {
    write_bytes(out, path)?;
    for number in [metadata.mode, metadata.uid, metadata.gid, metadata.mtime.nanoseconds] {
        out.write_all(&number.to_le_bytes())?;
    }
    out.write_all(&metadata.mtime.seconds.to_le_bytes())?;
    write_length(out, metadata.xattrs.len())?;
    for (name, value) in &metadata.xattrs {
        write_bytes(out, name)?;
        write_bytes(out, value)?;
    }
    Ok(())
}

fn write_length(out: &mut impl Write, length: usize) -> io::Result<()> {
    let length = u32::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    out.write_all(&length.to_le_bytes())
}

fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    write_length(out, bytes.len())?;
    out.write_all(bytes)
}

fn read_record(source: &mut impl Read) -> io::Result<Option<(Vec<u8>, Metadata)>> {
    let mut length = [0; 4];
    match source.read_exact(&mut length) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let path = read_bytes_of(source, u32::from_le_bytes(length))?;
    let [mode, uid, gid, nanoseconds] =
        [read_number(source)?, read_number(source)?, read_number(source)?, read_number(source)?];
    let mut seconds = [0; 8];
    source.read_exact(&mut seconds)?;
    let mtime = Time { seconds: i64::from_le_bytes(seconds), nanoseconds };
    let mut xattrs = Vec::new();
    for _ in 0..read_number(source)? {
        xattrs.push((read_bytes(source)?, read_bytes(source)?));
    }
    Ok(Some((path, Metadata { mode, uid, gid, mtime, xattrs })))
}

fn read_number(source: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    source.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_bytes(source: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = read_number(source)?;
    read_bytes_of(source, length)
}

fn read_bytes_of(source: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    source.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_as_written() {
        let metadata = Metadata {
            mode: 0o1755,
            uid: 7,
            gid: 8,
            mtime: Time { seconds: -5, nanoseconds: 9 },
            xattrs: vec![(b"user.a".to_vec(), vec![0, 10, 255]), (b"user.b".to_vec(), Vec::new())],
        };
        let mut bytes = Vec::new();
        write_record(&mut bytes, b"a/b", &metadata).unwrap();
        write_record(&mut bytes, b"", &Metadata::default()).unwrap();
        let mut source = &bytes[..];
        assert_eq!(read_record(&mut source).unwrap(), Some((b"a/b".to_vec(), metadata)));
        assert_eq!(read_record(&mut source).unwrap(), Some((Vec::new(), Metadata::default())));
        assert_eq!(read_record(&mut source).unwrap(), None);
    }
}
