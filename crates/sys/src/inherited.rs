//! Descriptors that a process did not ask for.

use std::io;
use std::os::fd::RawFd;

/// Closes every descriptor from `first` on.
///
/// For the first lines of a program: a descriptor that some part of it has opened by then would be closed under it.
pub fn close_from(first: RawFd) -> io::Result<()> {
    let first = u32::try_from(first).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: takes numbers only. Callers are the first lines of a program, where nothing owns a descriptor but the
    // standard streams, and these are below `first`.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
