//! The limits of a specification in the files of version 1. Pure.

use barge_oci::runtime_spec::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources};

use super::{Setting, cpuset, if_present, limit, page_size, pids, rdma, required, told, unless_default};
use crate::cgroup::invalid;
use crate::error::{Error, Result};

/// The settings for hierarchies of version 1, in the order to write them.
pub(in crate::cgroup) fn for_v1(resources: &LinuxResources) -> Result<Vec<Setting>> {
    if resources.unified().as_ref().is_some_and(|map| !map.is_empty()) {
        let reason = "invalid configuration: cannot use unified on cgroup v1".into();
        return Err(Error::CgroupUnsupported { reason });
    }
    let mut out = Vec::new();
    if let Some(limits) = resources.memory() {
        memory(limits, &mut out)?;
    }
    if let Some(limits) = resources.cpu() {
        cpu(limits, &mut out)?;
    }
    if let Some(limits) = resources.pids() {
        out.extend(pids(limits.limit()));
    }
    if let Some(limits) = resources.block_io() {
        block(limits, &mut out);
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        let size = page_size(limit.page_size())?;
        out.push(required("hugetlb", &format!("hugetlb.{size}.limit_in_bytes"), limit.limit()));
        // Reserving is limited apart since Linux 5.7.
        out.push(if_present("hugetlb", &format!("hugetlb.{size}.rsvd.limit_in_bytes"), limit.limit()));
    }
    if let Some(network) = resources.network() {
        out.extend(network.class_id().map(|id| unless_default("net_cls", "net_cls.classid", id, 0)));
        for priority in network.priorities().iter().flatten() {
            let value = format!("{} {}", priority.name(), priority.priority());
            out.push(required("net_prio", "net_prio.ifpriomap", value));
        }
    }
    rdma(resources, &mut out);
    Ok(out)
}

/// The swap limit counts memory and swap together, and the kernel keeps it at or above the memory limit at every
/// moment: `order` writes the two as the present values allow.
fn memory(memory: &LinuxMemory, out: &mut Vec<Setting>) -> Result<()> {
    let c = "memory";
    if memory.use_hierarchy() == Some(true) {
        // Nothing else is possible since Linux 5.11; before, it has to come before any group below.
        out.push(if_present(c, "memory.use_hierarchy", 1));
    }
    let most = memory.limit().filter(|&limit| limit != 0);
    // No limit on memory alone is none on both together, which may not be less.
    let both = memory.swap().filter(|&swap| swap != 0).or(most.filter(|&limit| limit == -1));
    out.extend(most.map(|most| limit(c, "memory.limit_in_bytes", most)));
    // Kernels without swap accounting have no such file; there is nothing to hold a limit against then.
    out.extend(both.map(|both| limit(c, "memory.memsw.limit_in_bytes", both)));
    out.extend(memory.reservation().filter(|&r| r != 0).map(|r| limit(c, "memory.soft_limit_in_bytes", r)));
    out.extend(
        memory.kernel_tcp().filter(|&k| k != 0).map(|k| limit(c, "memory.kmem.tcp.limit_in_bytes", k)),
    );
    if let Some(swappiness) = memory.swappiness() {
        if swappiness > 100 {
            let reason = format!("invalid memory swappiness value: {swappiness} (valid range is 0-100)");
            return Err(invalid("linux.resources.memory.swappiness", reason));
        }
        out.push(required(c, "memory.swappiness", swappiness));
    }
    if memory.disable_oom_killer() == Some(true) {
        out.push(required(c, "memory.oom_control", 1));
    }
    Ok(())
}

/// What the kernel takes; others it would change without a word.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

fn cpu(cpu: &LinuxCpu, out: &mut Vec<Setting>) -> Result<()> {
    if let Some(shares) = cpu.shares().filter(|&shares| shares != 0) {
        let bound = match shares {
            shares if shares < *SHARES.start() => Some(("minimum", SHARES.start())),
            shares if shares > *SHARES.end() => Some(("maximum", SHARES.end())),
            _ => None,
        };
        if let Some((which, bound)) = bound {
            let reason = format!("the {which} allowed cpu-shares is {bound}");
            return Err(invalid("linux.resources.cpu.shares", reason));
        }
        out.push(required("cpu", "cpu.shares", shares));
    }
    out.extend(cpu.period().filter(|&p| p != 0).map(|p| required("cpu", "cpu.cfs_period_us", p)));
    out.extend(cpu.quota().filter(|&q| q != 0).map(|q| limit("cpu", "cpu.cfs_quota_us", q)));
    // Since Linux 5.14; it only lets a group have later what it could have had before.
    out.extend(cpu.burst().map(|b| {
        let set = if b == 0 { if_present } else { told };
        set("cpu", "cpu.cfs_burst_us", b)
    }));
    out.extend(cpu.idle().map(|i| unless_default("cpu", "cpu.idle", i, 0)));
    out.extend(cpu.realtime_period().filter(|&p| p != 0).map(|p| required("cpu", "cpu.rt_period_us", p)));
    out.extend(cpu.realtime_runtime().filter(|&r| r != 0).map(|r| limit("cpu", "cpu.rt_runtime_us", r)));
    cpuset(cpu, out);
    Ok(())
}

fn block(block: &LinuxBlockIo, out: &mut Vec<Setting>) {
    let c = "blkio";
    // The files of the scheduler that there is now, and those of the one before Linux 5.0.
    let weighs = |file: &str, old: &'static str, value: String| Setting {
        or: Some((old, value.clone())),
        ..told(c, file, value)
    };
    if let Some(weight) = block.weight().filter(|&w| w != 0) {
        out.push(weighs("blkio.bfq.weight", "blkio.weight", weight.to_string()));
    }
    out.extend(block.leaf_weight().filter(|&w| w != 0).map(|w| told(c, "blkio.leaf_weight", w)));
    for device in block.weight_device().iter().flatten() {
        let line = |weight: u16| format!("{}:{} {weight}", device.major(), device.minor());
        if let Some(weight) = device.weight().filter(|&w| w != 0) {
            out.push(weighs("blkio.bfq.weight_device", "blkio.weight_device", line(weight)));
        }
        if let Some(weight) = device.leaf_weight().filter(|&w| w != 0) {
            out.push(told(c, "blkio.leaf_weight_device", line(weight)));
        }
    }
    let throttles = [
        ("blkio.throttle.read_bps_device", block.throttle_read_bps_device()),
        ("blkio.throttle.write_bps_device", block.throttle_write_bps_device()),
        ("blkio.throttle.read_iops_device", block.throttle_read_iops_device()),
        ("blkio.throttle.write_iops_device", block.throttle_write_iops_device()),
    ];
    for (file, devices) in throttles {
        for device in devices.iter().flatten() {
            let value = format!("{}:{} {}", device.major(), device.minor(), device.rate());
            out.push(required(c, file, value));
        }
    }
}
