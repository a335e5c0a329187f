//! Loading a compiled seccomp filter with the plain system call.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// One instruction of classic BPF, as `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when a test holds.
    pub jump_true: u8,
    /// Instructions to skip when it does not.
    pub jump_false: u8,
    /// Operand.
    pub operand: u32,
}

/// The most instructions that the kernel takes in one filter (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// Flags of `seccomp(SECCOMP_SET_MODE_FILTER)`.
pub mod flag {
    pub const TSYNC: u64 = libc::SECCOMP_FILTER_FLAG_TSYNC;
    pub const LOG: u64 = libc::SECCOMP_FILTER_FLAG_LOG;
    pub const SPEC_ALLOW: u64 = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    pub const WAIT_KILLABLE_RECV: u64 = 1 << 5;
}

/// As [`load`]; what the filter leaves to a supervisor is asked of whoever holds the returned descriptor.
pub fn load_with_listener(filter: &[Instruction], flags: u64) -> io::Result<OwnedFd> {
    let number = set_filter(filter, flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER)?;
    // SAFETY: with that flag the kernel returns a new descriptor, which nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(number as RawFd) })
}

/// Puts the calling thread under `filter`, for good. Needs `CAP_SYS_ADMIN` or no-new-privileges.
pub fn load(filter: &[Instruction], flags: u64) -> io::Result<()> {
    set_filter(filter, flags).map(drop)
}

fn set_filter(filter: &[Instruction], flags: u64) -> io::Result<libc::c_long> {
    let length = u16::try_from(filter.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = libc::sock_fprog { len: length, filter: filter.as_ptr().cast_mut().cast() };
    // SAFETY: `Instruction` has the layout of `sock_filter`, the kernel reads `length` of them and writes none.
    let result =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if result >= 0 { Ok(result) } else { Err(io::Error::last_os_error()) }
}
