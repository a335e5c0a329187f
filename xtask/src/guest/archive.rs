//! The initial file system of the guest: a cpio archive in the "newc" format, as the kernel unpacks it.
//!
//! ```text
//! header (110 bytes of hexadecimal digits) name\0 padding  content padding    … once for each file
//! header "TRAILER!!!"
//! ```
//!
//! <https://docs.kernel.org/driver-api/early-userspace/buffer-format.html>. Everything belongs to root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const TEXT: u32 = 0o100_644;
const LINK: u32 = 0o120_777;
const DEVICE: u32 = 0o020_600;

/// An archive in memory.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds an empty directory; its parents must be there.
    pub(super) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY, &[], (0, 0));
    }

    /// Adds the directories above the absolute path `name`. One that is there already stays.
    pub(super) fn parents(&mut self, name: &str) {
        let above = name.match_indices('/').skip(1);
        above.for_each(|(end, _)| self.directory(&name[1..end]));
    }

    /// Adds a file that may be executed.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, PROGRAM, content, (0, 0));
    }

    /// Adds a copy of the file at `source`.
    pub(super) fn copy(&mut self, name: &str, source: &Path) -> Result<()> {
        let content = fs::read(source).with_context(|| format!("read {}", source.display()))?;
        self.file(name, &content);
        Ok(())
    }

    /// Adds a file that may not be executed. What is added last under a name is what is there.
    pub(super) fn text(&mut self, name: &str, content: &str) {
        self.entry(name, TEXT, content.as_bytes(), (0, 0));
    }

    /// Adds everything below `folder` of whose path, as it is in the archive, `wanted` is true. A folder comes before
    /// what is in it.
    pub(super) fn tree(&mut self, folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        self.branch(folder, "", wanted)
    }

    fn branch(&mut self, folder: &Path, prefix: &str, wanted: &dyn Fn(&str) -> bool) -> Result<()> {
        let reading = || format!("read {}", folder.display());
        for entry in fs::read_dir(folder).with_context(reading)? {
            let entry = entry.with_context(reading)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if !wanted(&name) {
                continue;
            }
            let (path, kind) = (entry.path(), entry.file_type().with_context(reading)?);
            if kind.is_dir() {
                self.directory(&name);
                self.branch(&path, &format!("{name}/"), wanted)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).with_context(|| format!("read {}", path.display()))?;
                self.entry(&name, LINK, target.as_os_str().as_encoded_bytes(), (0, 0));
            } else {
                let content = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
                let mode = entry.metadata().with_context(reading)?.permissions().mode() & 0o755;
                self.entry(&name, 0o100_000 | mode, &content, (0, 0));
            }
        }
        Ok(())
    }

    /// Adds a character device.
    pub(super) fn device(&mut self, name: &str, major: u32, minor: u32) {
        self.entry(name, DEVICE, &[], (major, minor));
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[], (0, 0));
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8], device: (u32, u32)) {
        self.entries += 1;
        let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // inode mode uid gid links mtime size devmajor devminor rdevmajor rdevminor namesize check
        let fields = [self.entries, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_headers_and_padded_content() {
        let mut archive = Archive::default();
        archive.file("ab", b"12345");
        let bytes = archive.finish();
        assert_eq!(&bytes[..14], b"07070100000001");
        assert_eq!(&bytes[14..22], b"000081ed");
        assert_eq!(&bytes[110..116], b"ab\0\0\0\0");
        assert_eq!(&bytes[112 + 4..112 + 12], b"\x31\x32\x33\x34\x35\0\0\0".as_slice());
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn parents_come_from_the_top() {
        let mut archive = Archive::default();
        archive.parents("/lib/a/b.so");
        let text = String::from_utf8_lossy(&archive.bytes).replace('\0', " ");
        assert!(text.contains("lib ") && text.contains("lib/a ") && !text.contains("b.so"), "{text}");
        assert_eq!(archive.entries, 2);
    }
}
