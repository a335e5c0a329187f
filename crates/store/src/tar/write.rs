//! Writes an archive: ustar headers, with a PAX header before where ustar is too short.

use super::{BLOCK, Entry, Kind, padding, pax};
use std::io::{self, Read, Write};
use tar::{EntryType, Header};

/// An archive being written.
pub(crate) struct Writer<W: Write>(W);

impl<W: Write> Writer<W> {
    pub(crate) fn new(sink: W) -> Self {
        Self(sink)
    }

    /// Writes one entry; `content` must give exactly `entry.size` bytes if it is a file.
    pub(crate) fn append(&mut self, entry: &Entry, content: impl Read) -> io::Result<()> {
        let mut extension = Vec::new();
        let mut header = Header::new_ustar();
        describe(entry, &mut header, &mut extension)?;
        if !extension.is_empty() {
            let mut before = Header::new_ustar();
            before.set_entry_type(EntryType::XHeader);
            before.as_old_mut().name[..7].copy_from_slice(b"PaxHead");
            before.set_mode(0o644);
            before.set_size(extension.len() as u64);
            before.set_mtime(0);
            before.set_uid(0);
            before.set_gid(0);
            before.set_cksum();
            self.0.write_all(before.as_bytes())?;
            self.0.write_all(&extension)?;
            self.pad(extension.len() as u64)?;
        }
        header.set_cksum();
        self.0.write_all(header.as_bytes())?;
        if entry.kind == Kind::File {
            let copied = io::copy(&mut content.take(entry.size), &mut self.0)?;
            if copied != entry.size {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the file became shorter while it was read",
                ));
            }
            self.pad(entry.size)?;
        }
        Ok(())
    }

    /// Ends the archive and gives the writer back.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.0.write_all(&[0; 2 * BLOCK])?;
        Ok(self.0)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let length = usize::try_from(padding(size)).unwrap_or_default();
        self.0.write_all(&[0; BLOCK][..length])
    }
}

/// Fills the header, and the PAX header with what does not fit.
fn describe(entry: &Entry, header: &mut Header, extension: &mut Vec<u8>) -> io::Result<()> {
    let metadata = &entry.metadata;
    header.set_entry_type(match entry.kind {
        Kind::File => EntryType::Regular,
        Kind::HardLink => EntryType::Link,
        Kind::Symlink => EntryType::Symlink,
        Kind::Char => EntryType::Char,
        Kind::Block => EntryType::Block,
        Kind::Directory => EntryType::Directory,
        Kind::Fifo => EntryType::Fifo,
    });
    let old = header.as_old_mut();
    if !place(&entry.name, &mut old.name) {
        pax::push(extension, b"path", &entry.name);
    }
    if !place(&entry.link, &mut old.linkname) {
        pax::push(extension, b"linkpath", &entry.link);
    }
    header.set_mode(metadata.mode);
    for (key, id) in [(&b"uid"[..], metadata.uid), (b"gid", metadata.gid)] {
        if id > 0o7_777_777 {
            pax::push(extension, key, id.to_string().as_bytes());
        }
    }
    header.set_uid(u64::from(metadata.uid.min(0o7_777_777)));
    header.set_gid(u64::from(metadata.gid.min(0o7_777_777)));
    let size = if entry.kind == Kind::File { entry.size } else { 0 };
    if size > 0o77_777_777_777 {
        pax::push(extension, b"size", size.to_string().as_bytes());
    }
    header.set_size(size.min(0o77_777_777_777));
    let time = metadata.mtime;
    if time.nanoseconds != 0 || !(0..=0o77_777_777_777).contains(&time.seconds) {
        pax::push(extension, b"mtime", time_text(time).as_bytes());
    }
    header.set_mtime(u64::try_from(time.seconds).unwrap_or_default().min(0o77_777_777_777));
    if matches!(entry.kind, Kind::Char | Kind::Block) {
        header.set_device_major(entry.device.0)?;
        header.set_device_minor(entry.device.1)?;
    }
    for (name, value) in &metadata.xattrs {
        pax::push(extension, &[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    Ok(())
}

/// A PAX time; the fraction counts from the whole second below towards zero for times before 1970.
fn time_text(time: super::Time) -> String {
    if time.seconds < 0 && time.nanoseconds > 0 {
        return format!("-{}.{:09}", -(time.seconds + 1), 1_000_000_000 - time.nanoseconds);
    }
    format!("{}.{:09}", time.seconds, time.nanoseconds)
}

/// Copies `text` into a field if it fits and is plain; otherwise as much as fits, for old readers.
fn place(text: &[u8], field: &mut [u8; 100]) -> bool {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
    text.len() <= field.len() && text.is_ascii()
}
