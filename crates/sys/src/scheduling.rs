//! How the kernel schedules a process and where its memory comes from: `sched_setattr`, `set_mempolicy`.

use std::io;

/// `struct sched_attr` of `sched_setattr(2)`, without its size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scheduler {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// For the ordinary and the batch policy.
    pub nice: i32,
    /// For the real-time policies.
    pub priority: u32,
    /// Nanoseconds, for the deadline policy, as the next two.
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// The kernel's own layout (`SCHED_ATTR_SIZE_VER1`).
#[repr(C)]
struct Attributes {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    period: u64,
    clamp_min: u32,
    clamp_max: u32,
}

/// Sets the scheduling of the calling thread, which its children and its next program keep.
pub fn set_scheduler(scheduler: Scheduler) -> io::Result<()> {
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: scheduler.policy,
        flags: scheduler.flags,
        nice: scheduler.nice,
        priority: scheduler.priority,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
        clamp_min: 0,
        clamp_max: 0,
    };
    // SAFETY: the kernel reads as many bytes as the structure says of itself, and it lives through the call.
    let result = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets the memory policy of the calling thread: a mode with its flags, and a bit for each node.
pub fn set_memory_policy(mode: u32, nodes: &[u64]) -> io::Result<()> {
    // The kernel takes the number of bits plus one: its own off-by-one, kept for compatibility.
    let bits = if nodes.is_empty() { 0 } else { nodes.len() * 64 + 1 };
    let mask = if nodes.is_empty() { std::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: the kernel reads `bits - 1` bits rounded up to words, which is the whole slice and no more.
    let result = unsafe { libc::syscall(libc::SYS_set_mempolicy, mode, mask, bits) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
