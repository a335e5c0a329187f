//! Loading and attaching device programs of cgroup v2.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// One instruction of eBPF, as `struct bpf_insn`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u8,
    /// Destination register in the low four bits, source register in the high four.
    pub registers: u8,
    /// Offset of a jump or of memory.
    pub offset: i16,
    /// Immediate operand.
    pub immediate: i32,
}

const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const BPF_PROG_DETACH: i32 = 9;
const BPF_PROG_GET_FD_BY_ID: i32 = 13;
const BPF_PROG_QUERY: i32 = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    program_type: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buffer: u64,
    kernel_version: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct AttachAttributes {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct QueryAttributes {
    target: u32,
    attach_type: u32,
    query_flags: u32,
    attach_flags: u32,
    program_ids: u64,
    count: u32,
    padding: u32,
}

#[repr(C)]
#[derive(Default)]
struct IdAttributes {
    id: u32,
    next: u32,
    flags: u32,
}

/// Calls `bpf(2)` with the attributes of `command`.
fn bpf<T>(command: i32, attributes: &mut T) -> io::Result<i32> {
    // SAFETY: every caller in this file passes the `repr(C)` struct that `command` reads, with pointers in it to
    // slices that it borrows until after the call.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attributes), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

/// Takes over a descriptor that `bpf(2)` has just returned.
fn owned(fd: i32) -> OwnedFd {
    // SAFETY: called only on the result of a command that makes a descriptor, before anyone else has seen it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// Loads a program that decides on the use of devices.
pub fn load_device_program(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let mut attributes = LoadAttributes {
        program_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as u64,
        license: c"Apache".as_ptr() as u64,
        ..LoadAttributes::default()
    };
    bpf(BPF_PROG_LOAD, &mut attributes).map(owned)
}

/// Attaches a device program to a cgroup besides those that it has already.
pub fn attach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = AttachAttributes {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI,
    };
    bpf(BPF_PROG_ATTACH, &mut attributes).map(drop)
}

/// Takes a device program off a cgroup.
pub fn detach_device_program(cgroup: BorrowedFd<'_>, program: BorrowedFd<'_>) -> io::Result<()> {
    let mut attributes = AttachAttributes {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        flags: 0,
    };
    bpf(BPF_PROG_DETACH, &mut attributes).map(drop)
}

/// The device programs attached to a cgroup itself (64 at most, which is the kernel's limit too).
pub fn device_programs(cgroup: BorrowedFd<'_>) -> io::Result<Vec<OwnedFd>> {
    let mut ids = [0u32; 64];
    let mut query = QueryAttributes {
        target: cgroup.as_raw_fd() as u32,
        attach_type: BPF_CGROUP_DEVICE,
        program_ids: ids.as_mut_ptr() as u64,
        count: ids.len() as u32,
        ..QueryAttributes::default()
    };
    bpf(BPF_PROG_QUERY, &mut query)?;
    let count = (query.count as usize).min(ids.len());
    ids[..count]
        .iter()
        .map(|&id| bpf(BPF_PROG_GET_FD_BY_ID, &mut IdAttributes { id, ..IdAttributes::default() }).map(owned))
        .collect()
}
