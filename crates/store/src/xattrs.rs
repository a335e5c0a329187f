//! Reads the extended attributes of an open file.

use rustix::io::Errno;
use std::io;
use std::os::fd::AsFd;

/// Names and values, overlay's own left out. Empty where the file system has none.
pub(crate) fn read(file: impl AsFd) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0; 1024];
    let length = match rustix::fs::flistxattr(&file, &mut names[..]) {
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(Errno::RANGE) => {
            names.resize(64 << 10, 0);
            rustix::fs::flistxattr(&file, &mut names[..])?
        }
        other => other?,
    };
    let mut attributes = Vec::new();
    for name in names[..length].split(|b| *b == 0) {
        if name.is_empty() || name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            continue;
        }
        let mut value = vec![0; 64 << 10];
        match rustix::fs::fgetxattr(&file, name, &mut value[..]) {
            Err(Errno::NODATA) => continue,
            result => value.truncate(result?),
        }
        attributes.push((name.to_owned(), value));
    }
    attributes.sort();
    Ok(attributes)
}
