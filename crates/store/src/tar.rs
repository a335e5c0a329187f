//! Tar streams: read entry by entry with bounds on all that is held, and written with PAX where needed.
//!
//! Headers are the `tar` crate's; framing, extensions and sparse maps are ours, because the crate reads
//! extension headers of any length into memory and splits PAX records at newlines, which binary
//! values (`security.capability`) contain. Does not touch the file system.

mod numbers;
mod pax;
pub(crate) mod read;
mod sparse;
#[cfg(test)]
mod tests;
pub(crate) mod write;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    HardLink,
    Symlink,
    Char,
    Block,
    Directory,
    Fifo,
}

/// A time since 1970; seconds may be negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Time {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: u32,
}

/// What belongs to a file besides its content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Metadata {
    /// Permissions with setuid, setgid and sticky bit.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mtime: Time,
    pub(crate) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// One entry of an archive.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// As written in the archive.
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) metadata: Metadata,
    /// The target of a link, as written.
    pub(crate) link: Vec<u8>,
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
    /// The length of the file's content in bytes, holes included.
    pub(crate) size: u64,
    /// Where the content's pieces lie, if it has holes.
    pub(crate) sparse: Option<Vec<sparse::Segment>>,
}

/// The length of a tar block in bytes.
pub(crate) const BLOCK: usize = 512;

/// How many bytes fill up the last block of `size` bytes.
pub(crate) fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}
