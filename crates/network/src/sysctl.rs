//! Writes to /proc/sys. Values under `net/` are those of the calling thread's namespace.

use std::io;
use std::path::Path;

use crate::error::{Error, Result};

/// Sets `name` (`net/ipv4/ip_forward`), unless it has that value: reading needs no privilege,
/// and a container's view of /proc/sys may be read-only and right already.
pub(crate) fn write(name: &str, value: &'static str) -> Result<()> {
    let path = Path::new("/proc/sys").join(name);
    let set = || -> io::Result<()> {
        if std::fs::read_to_string(&path)?.trim_end() == value {
            return Ok(());
        }
        std::fs::write(&path, value)
    };
    set().map_err(|source| Error::Sysctl { path: path.clone(), value, source })
}

/// Whether `name` exists and is 1.
pub(crate) fn is_on(name: &str) -> bool {
    std::fs::read(Path::new("/proc/sys").join(name)).is_ok_and(|value| value.trim_ascii() == b"1")
}

/// Accepts a sysctl that this kernel does not have (IPv6 compiled out or disabled at boot).
pub(crate) fn absent_is_fine(error: Error) -> Result<()> {
    match error {
        Error::Sysctl { source, .. } if source.kind() == io::ErrorKind::NotFound => Ok(()),
        other => Err(other),
    }
}
