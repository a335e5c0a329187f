//! What rustix lacks for files.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Asks the kernel to begin writing the dirty pages of a range to the disk, and does not wait for it.
///
/// # Errors
/// Fails where the file system does not know the call; the data is safe or not all the same.
pub fn begin_writeback(file: &File, offset: u64, length: u64) -> io::Result<()> {
    let signed = |value: u64| i64::try_from(value).map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW));
    let (offset, length) = (signed(offset)?, signed(length)?);
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and no memory is passed.
    let result =
        unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
