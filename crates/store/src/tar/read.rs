//! Reads an archive entry by entry; holds one header and its extensions, never content.
//!
//! ```text
//! [x: PAX] [L: long name] [K: long link] header  content…  padding  | … | two empty blocks
//! └──────── at most 1 MiB each ─────────┘
//! ```
//!
//! Where archives can be read in two ways, it is as Go's archive/tar does, which Docker uses: global PAX
//! headers say nothing, links and directories have no content whatever their size field says.

use super::sparse::{Form, MAX_SEGMENTS, PaxSparse, Segment, segments};
use super::{BLOCK, Entry, Kind, Metadata, numbers, padding, pax};
use crate::error::{Error, Result};
use std::io::{self, BufRead};
use tar::{EntryType, GnuExtSparseHeader, Header};

/// The longest extension header.
const MAX_EXTENSION: u64 = 1 << 20;

/// The entries of a tar stream.
pub(crate) struct Entries<R> {
    source: R,
    /// Bytes of the current entry's content that were not read yet.
    content: u64,
    padding: u64,
}

/// What the extension headers before an entry say.
#[derive(Default)]
struct Extensions {
    pax: Option<Vec<u8>>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
}

impl<R: BufRead> Entries<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, content: 0, padding: 0 }
    }

    /// The next entry; `None` at the end of the archive.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>> {
        let mut extensions = Extensions::default();
        loop {
            self.skip_content()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let slot = match header.entry_type() {
                EntryType::XHeader => &mut extensions.pax,
                EntryType::GNULongName => &mut extensions.long_name,
                EntryType::GNULongLink => &mut extensions.long_link,
                EntryType::XGlobalHeader => {
                    self.begin_content(stored_size(&header)?);
                    continue;
                }
                _ => return self.entry(&header, extensions).map(Some),
            };
            *slot = Some(self.extension(&header)?);
        }
    }

    /// Gives what remains of the current entry's content to `sink`, piece by piece.
    pub(crate) fn read_content(&mut self, mut sink: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        while self.content > 0 {
            let piece = fill(&mut self.source)?;
            let length = piece.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
            sink(&piece[..length])?;
            self.source.consume(length);
            self.content -= length as u64;
        }
        Ok(())
    }

    /// The current entry's content, if it is not longer than `limit`.
    pub(crate) fn content(&mut self, limit: u64) -> Result<Vec<u8>> {
        if self.content > limit {
            return Err(broken(format!("{} bytes where at most {limit} are allowed", self.content)));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.content).unwrap_or_default());
        self.read_content(|piece| {
            bytes.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(bytes)
    }

    /// Reads what follows the end of the archive, so that all of the stream has been seen.
    pub(crate) fn drain(mut self) -> Result<()> {
        loop {
            let length = available(&mut self.source)?.len();
            if length == 0 {
                return Ok(());
            }
            self.source.consume(length);
        }
    }

    fn begin_content(&mut self, size: u64) {
        self.content = size;
        self.padding = padding(size);
    }

    fn skip_content(&mut self) -> Result<()> {
        self.read_content(|_| Ok(()))?;
        self.content = std::mem::take(&mut self.padding);
        self.read_content(|_| Ok(()))
    }

    /// The next header that is not empty. One or two empty blocks, or the end of the stream, end the archive.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut empty = 0;
        loop {
            let mut header = Header::new_old();
            if !self.block(header.as_mut_bytes())? {
                return Ok(None);
            }
            if header.as_bytes().iter().any(|b| *b != 0) {
                if empty > 0 {
                    return Err(broken("an entry after an empty block".to_owned()));
                }
                verify_checksum(&header)?;
                return Ok(Some(header));
            }
            empty += 1;
            if empty == 2 {
                return Ok(None);
            }
        }
    }

    /// Fills one block; false if the stream is at its end.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            let piece = available(&mut self.source)?;
            if piece.is_empty() {
                return if filled == 0 { Ok(false) } else { Err(ended()) };
            }
            let length = piece.len().min(BLOCK - filled);
            block[filled..filled + length].copy_from_slice(&piece[..length]);
            self.source.consume(length);
            filled += length;
        }
        Ok(true)
    }

    fn extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = stored_size(header)?;
        self.begin_content(size);
        self.content(MAX_EXTENSION)
    }

    fn entry(&mut self, header: &Header, extensions: Extensions) -> Result<Entry> {
        let (mut entry, mut stored, mut sparse) = from_header(header)?;
        if let Some(pax) = &extensions.pax {
            apply_pax(pax, &mut entry, &mut stored, &mut sparse)?;
        }
        for (long, slot) in [(extensions.long_name, &mut entry.name), (extensions.long_link, &mut entry.link)]
        {
            if let Some(mut long) = long {
                long.truncate(long.iter().position(|b| *b == 0).unwrap_or(long.len()));
                *slot = long;
            }
        }
        if let Some(name) = sparse.name.take() {
            entry.name = name;
        }
        if entry.kind == Kind::File && entry.name.ends_with(b"/") {
            entry.kind = Kind::Directory;
        }
        if entry.kind != Kind::File {
            stored = 0;
        }
        entry.size = stored;
        if header.entry_type() == EntryType::GNUSparse && entry.kind == Kind::File {
            let (map, size) = self.old_gnu_map(header)?;
            self.begin_content(stored);
            entry.sparse = Some(segments(&map, size, stored).ok_or_else(bad_map)?);
            entry.size = size;
        } else {
            self.begin_content(stored);
            self.pax_map(&mut entry, sparse)?;
        }
        Ok(entry)
    }

    fn pax_map(&mut self, entry: &mut Entry, sparse: PaxSparse) -> Result<()> {
        if entry.kind != Kind::File {
            return Ok(());
        }
        let size = sparse.size;
        let map = match sparse.form() {
            Form::Dense => return Ok(()),
            Form::Map(map) => map,
            Form::MapInContent => self.map_in_content()?,
            Form::Unknown => return Err(broken("an unknown form of sparse file".to_owned())),
        };
        entry.size = size.unwrap_or(entry.size);
        entry.sparse = Some(segments(&map, entry.size, self.content).ok_or_else(bad_map)?);
        Ok(())
    }

    fn old_gnu_map(&mut self, header: &Header) -> Result<(Vec<u64>, u64)> {
        let gnu = header.as_gnu().ok_or_else(bad_map)?;
        let number = |bytes: &[u8]| numbers::field(bytes).and_then(|n| u64::try_from(n).ok());
        let size = number(&gnu.realsize).ok_or_else(bad_map)?;
        let mut map = Vec::new();
        let mut push = |pairs: &[tar::GnuSparseHeader]| -> Option<()> {
            for pair in pairs.iter().filter(|pair| pair.offset[0] != 0 || pair.numbytes[0] != 0) {
                map.extend([number(&pair.offset)?, number(&pair.numbytes)?]);
            }
            (map.len() / 2 <= MAX_SEGMENTS).then_some(())
        };
        push(&gnu.sparse).ok_or_else(bad_map)?;
        let mut extended = gnu.isextended[0] == 1;
        while extended {
            let mut block = GnuExtSparseHeader::new();
            if !self.block(block.as_mut_bytes())? {
                return Err(ended());
            }
            push(&block.sparse).ok_or_else(bad_map)?;
            extended = block.isextended[0] == 1;
        }
        Ok((map, size))
    }

    /// The map of PAX 1.0: the number of pieces, then offsets and lengths, each on a line.
    fn map_in_content(&mut self) -> Result<Vec<u64>> {
        let mut numbers: Vec<u64> = Vec::new();
        let mut digits = Vec::new();
        let mut expected = 1;
        while numbers.len() < expected {
            if self.content < BLOCK as u64 {
                return Err(bad_map());
            }
            let mut block = [0; BLOCK];
            if !self.block(&mut block)? {
                return Err(ended());
            }
            self.content -= BLOCK as u64;
            for byte in block {
                if byte != b'\n' {
                    digits.push(byte);
                    if digits.len() > 20 && numbers.len() < expected {
                        return Err(bad_map());
                    }
                    continue;
                }
                let number = numbers::decimal(&digits).ok_or_else(bad_map)?;
                digits.clear();
                if numbers.is_empty() {
                    let count = usize::try_from(number).ok().filter(|count| *count <= MAX_SEGMENTS);
                    expected = 1 + 2 * count.ok_or_else(bad_map)?;
                }
                numbers.push(number);
                if numbers.len() == expected {
                    break;
                }
            }
        }
        numbers.remove(0);
        Ok(numbers)
    }
}

/// What the header alone says: the entry, the bytes stored for it, no holes.
fn from_header(header: &Header) -> Result<(Entry, u64, PaxSparse)> {
    let old = header.as_old();
    let number =
        |bytes: &[u8], what: &str| numbers::field(bytes).ok_or_else(|| broken(format!("bad {what}")));
    let id = |bytes: &[u8], what: &str| {
        owner(u64::try_from(number(bytes, what)?).ok()).ok_or_else(|| broken(format!("bad {what}")))
    };
    let kind = kind(header.entry_type())?;
    let device = match kind {
        Kind::Char | Kind::Block => device(header)?,
        _ => (0, 0),
    };
    let metadata = Metadata {
        mode: u32::try_from(number(&old.mode, "mode")? & 0o7777).unwrap_or_default(),
        uid: id(&old.uid, "uid")?,
        gid: id(&old.gid, "gid")?,
        mtime: super::Time { seconds: number(&old.mtime, "mtime")?, nanoseconds: 0 },
        xattrs: Vec::new(),
    };
    let name = header.path_bytes().into_owned();
    let link = header.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
    let entry = Entry { name, kind, metadata, link, device, size: 0, sparse: None };
    Ok((entry, stored_size(header)?, PaxSparse::default()))
}

fn kind(entry_type: EntryType) -> Result<Kind> {
    Ok(match entry_type {
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Kind::File,
        EntryType::Link => Kind::HardLink,
        EntryType::Symlink => Kind::Symlink,
        EntryType::Char => Kind::Char,
        EntryType::Block => Kind::Block,
        EntryType::Directory => Kind::Directory,
        EntryType::Fifo => Kind::Fifo,
        other => return Err(broken(format!("unhandled entry type {:?}", char::from(other.as_byte())))),
    })
}

fn device(header: &Header) -> Result<(u32, u32)> {
    let (major, minor) = match (header.as_ustar(), header.as_gnu()) {
        (Some(ustar), _) => (&ustar.dev_major, &ustar.dev_minor),
        (_, Some(gnu)) => (&gnu.dev_major, &gnu.dev_minor),
        _ => return Ok((0, 0)),
    };
    let number = |bytes: &[u8]| numbers::field(bytes).and_then(|n| u32::try_from(n).ok());
    number(major).zip(number(minor)).ok_or_else(|| broken("bad device number".to_owned()))
}

fn apply_pax(header: &[u8], entry: &mut Entry, stored: &mut u64, sparse: &mut PaxSparse) -> Result<()> {
    for record in pax::Records::new(header) {
        let (key, value) = record.map_err(|()| broken("bad PAX record".to_owned()))?;
        let bad = || broken(format!("bad PAX record {}", String::from_utf8_lossy(key)));
        let id = |value| owner(numbers::decimal(value)).ok_or_else(bad);
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            entry.metadata.xattrs.retain(|(known, _)| known != name);
            entry.metadata.xattrs.push((name.to_vec(), value.to_vec()));
            continue;
        }
        if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            sparse.record(key, value).ok_or_else(bad)?;
            continue;
        }
        if value.is_empty() {
            continue;
        }
        match key {
            b"path" => entry.name = value.to_vec(),
            b"linkpath" => entry.link = value.to_vec(),
            b"size" => *stored = numbers::decimal(value).ok_or_else(bad)?,
            b"uid" => entry.metadata.uid = id(value)?,
            b"gid" => entry.metadata.gid = id(value)?,
            b"mtime" => entry.metadata.mtime = numbers::time(value).ok_or_else(bad)?,
            _ => {}
        }
    }
    Ok(())
}

/// A user's or group's number; the highest one means "nobody in particular" to the kernel.
fn owner(number: Option<u64>) -> Option<u32> {
    number.and_then(|number| u32::try_from(number).ok()).filter(|number| *number != u32::MAX)
}

fn stored_size(header: &Header) -> Result<u64> {
    let size = numbers::field(&header.as_old().size).and_then(|size| u64::try_from(size).ok());
    size.ok_or_else(|| broken("bad size".to_owned()))
}

/// The sum of the header's bytes, its own field counted as spaces; old writers added signed bytes.
fn verify_checksum(header: &Header) -> Result<()> {
    let expected = numbers::field(&header.as_old().cksum);
    let bytes = header.as_bytes().iter().enumerate();
    let bytes = bytes.map(|(place, byte)| if (148..156).contains(&place) { b' ' } else { *byte });
    let (unsigned, signed) = bytes.fold((0i64, 0i64), |(unsigned, signed), byte| {
        (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
    });
    if expected == Some(unsigned) || expected == Some(signed) {
        return Ok(());
    }
    Err(broken("checksum does not match".to_owned()))
}

/// The bytes that can be had without waiting, or the next ones; empty at the end.
fn available<R: BufRead>(source: &mut R) -> Result<&[u8]> {
    loop {
        match source.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(Error::Read { what: "archive", source }),
            Ok(_) => break,
        }
    }
    // Asked again because the borrow of the first answer would outlive the loop; it is the same buffer.
    source.fill_buf().map_err(|source| Error::Read { what: "archive", source })
}

fn fill<R: BufRead>(source: &mut R) -> Result<&[u8]> {
    let piece = available(source)?;
    if piece.is_empty() { Err(ended()) } else { Ok(piece) }
}

fn ended() -> Error {
    Error::Read { what: "archive", source: io::ErrorKind::UnexpectedEof.into() }
}

fn broken(reason: String) -> Error {
    Error::TarHeader { reason }
}

fn bad_map() -> Error {
    broken("bad map of a sparse file".to_owned())
}

/// The content's pieces with their places in the file, whether it has holes or not.
pub(crate) fn pieces(entry: &Entry) -> Vec<Segment> {
    match &entry.sparse {
        Some(segments) => segments.clone(),
        None => vec![Segment { offset: 0, length: entry.size }],
    }
}
