//! The limits of a specification in the files of version 2. Pure.

use barge_oci::runtime_spec::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources, LinuxThrottleDevice};

use super::{Setting, UNIFIED, cpuset, if_present, page_size, pids, rdma, required, told, unless_default};
use crate::cgroup::invalid;
use crate::error::Result;

/// The settings for version 2, in the order to write them.
pub(in crate::cgroup) fn for_v2(resources: &LinuxResources) -> Result<Vec<Setting>> {
    let mut out = Vec::new();
    if let Some(limits) = resources.memory() {
        memory(limits, &mut out)?;
    }
    if let Some(limits) = resources.cpu() {
        cpu(limits, &mut out);
    }
    if let Some(limits) = resources.pids() {
        out.extend(pids(limits.limit()));
    }
    if let Some(limits) = resources.block_io() {
        block(limits, &mut out);
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        let size = page_size(limit.page_size())?;
        out.push(required("hugetlb", &format!("hugetlb.{size}.max"), limit.limit()));
        out.push(if_present("hugetlb", &format!("hugetlb.{size}.rsvd.max"), limit.limit()));
    }
    rdma(resources, &mut out);
    unified(resources, &mut out)?;
    Ok(out)
}

/// Comes last: what somebody asks for by its file's name is what they get.
fn unified(resources: &LinuxResources, out: &mut Vec<Setting>) -> Result<()> {
    let mut unified: Vec<_> = resources.unified().iter().flatten().collect();
    unified.sort();
    for (file, value) in unified {
        let field = "linux.resources.unified";
        if file.contains('/') {
            let reason = format!("unified resource {file:?} must be a file name (no slashes)");
            return Err(invalid(field, reason));
        }
        if file.find('.').is_none_or(|at| at == 0) {
            let reason = format!("unified resource {file:?} must be in the form CONTROLLER.PARAMETER");
            return Err(invalid(field, reason));
        }
        // A value of several lines is for files that are told one thing at a time.
        out.extend(value.lines().map(|line| required(UNIFIED, file, line)));
    }
    Ok(())
}

fn memory(memory: &LinuxMemory, out: &mut Vec<Setting>) -> Result<()> {
    let limit = memory.limit().filter(|&l| l != 0);
    // Swap first: less memory would only push more into it.
    if let Some(alone) = swap_alone(memory.swap().unwrap_or(0), limit.unwrap_or(0))? {
        let file = "memory.swap.max";
        // As in version 1: no file, no swap accounting, nothing to limit.
        let set = if alone > 0 { required } else { if_present };
        out.push(set("memory", file, or_max(alone)));
    }
    let or_none = |file: &str, value: i64| {
        let set = if value >= 0 { required } else { if_present };
        set("memory", file, or_max(value))
    };
    out.extend(limit.map(|l| or_none("memory.max", l)));
    out.extend(memory.reservation().filter(|&r| r != 0).map(|r| or_none("memory.low", r)));
    Ok(())
}

/// The limit of swap alone from that of memory and swap together; less than nothing is no limit.
fn swap_alone(both: i64, memory: i64) -> Result<Option<i64>> {
    let refused = |reason: &str| Err(invalid("linux.resources.memory.swap", reason.into()));
    match (both, memory) {
        (0, ..=-1) | (..=-1, _) => Ok(Some(-1)),
        (0, _) => Ok(None),
        // Nothing to subtract.
        (both, ..=-1) => Ok(Some(both)),
        (_, 0) => refused("unable to set swap limit without memory limit"),
        (both, memory) if both < memory => refused("memory+swap limit should be >= memory limit"),
        (both, memory) => Ok(Some(both - memory)),
    }
}

fn or_max(value: i64) -> String {
    if value < 0 { "max".into() } else { value.to_string() }
}

fn cpu(cpu: &LinuxCpu, out: &mut Vec<Setting>) {
    out.extend(
        cpu.shares().filter(|&s| s != 0).map(|s| required("cpu", "cpu.weight", weight_from_shares(s))),
    );
    let quota = cpu.quota().filter(|&q| q != 0).map(or_max);
    let period = cpu.period().filter(|&p| p != 0);
    match (quota, period) {
        (Some(quota), Some(period)) => out.push(required("cpu", "cpu.max", format!("{quota} {period}"))),
        (Some(quota), None) if quota == "max" => out.push(if_present("cpu", "cpu.max", quota)),
        (Some(quota), None) => out.push(required("cpu", "cpu.max", quota)),
        (None, Some(period)) => out.push(required("cpu", "cpu.max", format!("max {period}"))),
        (None, None) => {}
    }
    out.extend(cpu.burst().map(|b| unless_default("cpu", "cpu.max.burst", b, 0)));
    out.extend(cpu.idle().map(|i| unless_default("cpu", "cpu.idle", i, 0)));
    cpuset(cpu, out);
}

/// CPU shares (2 to 262144, default 1024) as a weight (1 to 10000, default 100).
///
/// The quadratic in the logarithm that meets all three points, as runc and crun have it since 2025:
/// <https://github.com/kubernetes/kubernetes/issues/131216>.
fn weight_from_shares(shares: u64) -> u64 {
    match shares {
        0..=2 => 1,
        262_144.. => 10_000,
        _ => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10f64.powf(exponent).ceil() as u64
        }
    }
}

fn block(block: &LinuxBlockIo, out: &mut Vec<Setting>) {
    if let Some(weight) = block.weight().filter(|&w| w != 0) {
        // The scheduler with weights of the specification's scale, or else the controller with its own.
        let or = Some(("io.weight", format!("default {}", io_weight(weight))));
        out.push(Setting { or, ..told("io", "io.bfq.weight", weight) });
    }
    for device in block.weight_device().iter().flatten() {
        if let Some(weight) = device.weight().filter(|&w| w != 0) {
            let value = format!("{}:{} {weight}", device.major(), device.minor());
            out.push(told("io", "io.bfq.weight", value));
        }
    }
    let limits: [(&str, &Option<Vec<LinuxThrottleDevice>>); 4] = [
        ("rbps", block.throttle_read_bps_device()),
        ("wbps", block.throttle_write_bps_device()),
        ("riops", block.throttle_read_iops_device()),
        ("wiops", block.throttle_write_iops_device()),
    ];
    for (key, devices) in limits {
        for device in devices.iter().flatten() {
            let value = format!("{}:{} {key}={}", device.major(), device.minor(), device.rate());
            out.push(required("io", "io.max", value));
        }
    }
}

/// A block I/O weight (10 to 1000) on the scale of `io.weight` (1 to 10000).
fn io_weight(weight: u16) -> u64 {
    1 + (u64::from(weight).saturating_sub(10)) * 9999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights() {
        for (shares, weight) in
            [(0, 1), (2, 1), (1024, 100), (512, 59), (262_144, 10_000), (u64::MAX, 10_000)]
        {
            assert_eq!(weight_from_shares(shares), weight, "{shares}");
        }
    }

    #[test]
    fn block_weights_keep_their_ends() {
        for (weight, expected) in [(10, 1), (1000, 10_000), (0, 1)] {
            assert_eq!(io_weight(weight), expected);
        }
    }

    #[test]
    fn swap_is_what_is_left_of_both() {
        let cases = [
            ((0, 0), Some(None)),
            ((0, 5), Some(None)),
            ((0, -1), Some(Some(-1))),
            ((-1, 5), Some(Some(-1))),
            ((-1, 0), Some(Some(-1))),
            ((7, -1), Some(Some(7))),
            ((7, 5), Some(Some(2))),
            ((5, 5), Some(Some(0))),
            ((4, 5), None),
            ((4, 0), None),
        ];
        for ((both, memory), expected) in cases {
            assert_eq!(swap_alone(both, memory).ok(), expected, "{both} {memory}");
        }
    }
}
