//! What the limits of a specification are in control files. Pure.
//!
//! A setting is required when somebody relies on it (a memory limit), and not when it only orders neighbours where
//! the kernel can do that at all (a block I/O weight), or takes a limit away; the second kind is skipped where its
//! file is missing.

use barge_oci::runtime_spec::{LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxResources, LinuxThrottleDevice};

use crate::error::{Error, Result};

/// One value for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The version 1 controller whose hierarchy has the file.
    pub(super) controller: &'static str,
    pub(super) file: String,
    pub(super) value: String,
    pub(super) required: bool,
    /// Another file of the same meaning, which is preferred where it is there.
    pub(super) unless: Option<&'static str>,
}

fn required(controller: &'static str, file: &str, value: impl ToString) -> Setting {
    Setting { controller, file: file.into(), value: value.to_string(), required: true, unless: None }
}

fn if_present(controller: &'static str, file: &str, value: impl ToString) -> Setting {
    Setting { required: false, ..required(controller, file, value) }
}

/// Less than nothing is no limit, which needs no controller.
fn limit(controller: &'static str, file: &str, value: i64) -> Setting {
    Setting { required: value >= 0, ..required(controller, file, value) }
}

/// The settings for hierarchies of version 1, in the order to write them.
pub(super) fn for_v1(resources: &LinuxResources) -> Result<Vec<Setting>> {
    if resources.unified().as_ref().is_some_and(|map| !map.is_empty()) {
        return Err(Error::CgroupUnsupported { reason: "unified settings need cgroup v2".into() });
    }
    let mut out = Vec::new();
    if let Some(memory) = resources.memory() {
        memory_v1(memory, &mut out)?;
    }
    if let Some(cpu) = resources.cpu() {
        cpu_v1(cpu, &mut out)?;
    }
    if let Some(pids) = resources.pids() {
        out.extend(pids_setting(pids.limit()));
    }
    if let Some(block) = resources.block_io() {
        block_v1(block, &mut out);
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        let size = limit.page_size();
        out.push(required("hugetlb", &format!("hugetlb.{size}.limit_in_bytes"), limit.limit()));
        // Reserving is limited apart since Linux 5.7.
        out.push(if_present("hugetlb", &format!("hugetlb.{size}.rsvd.limit_in_bytes"), limit.limit()));
    }
    if let Some(network) = resources.network() {
        out.extend(network.class_id().map(|id| required("net_cls", "net_cls.classid", id)));
        for priority in network.priorities().iter().flatten() {
            let value = format!("{} {}", priority.name(), priority.priority());
            out.push(required("net_prio", "net_prio.ifpriomap", value));
        }
    }
    rdma(resources, &mut out);
    Ok(out)
}

/// The swap limit counts memory and swap together, and the kernel keeps it at or above the memory limit at every
/// moment: [`super::v1::apply`] writes the two in the order that the present values allow.
fn memory_v1(memory: &LinuxMemory, out: &mut Vec<Setting>) -> Result<()> {
    let c = "memory";
    if memory.use_hierarchy() == Some(true) {
        // Nothing else is possible since Linux 5.11; before, it has to come before any group below.
        out.push(if_present(c, "memory.use_hierarchy", 1));
    }
    out.extend(memory.limit().filter(|&l| l != 0).map(|l| limit(c, "memory.limit_in_bytes", l)));
    out.extend(memory.swap().filter(|&s| s != 0).map(|s| Setting {
        // Kernels without swap accounting have no such file; there is nothing to hold a limit against then.
        required: s > 0,
        ..required(c, "memory.memsw.limit_in_bytes", s)
    }));
    out.extend(memory.reservation().filter(|&r| r != 0).map(|r| limit(c, "memory.soft_limit_in_bytes", r)));
    out.extend(
        memory.kernel_tcp().filter(|&k| k != 0).map(|k| limit(c, "memory.kmem.tcp.limit_in_bytes", k)),
    );
    if let Some(swappiness) = memory.swappiness() {
        if swappiness > 100 {
            let reason = format!("invalid memory swappiness value: {swappiness} (valid range is 0-100)");
            return Err(super::invalid("linux.resources.memory.swappiness", reason));
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

fn cpu_v1(cpu: &LinuxCpu, out: &mut Vec<Setting>) -> Result<()> {
    if let Some(shares) = cpu.shares().filter(|&shares| shares != 0) {
        let bound = match shares {
            shares if shares < *SHARES.start() => Some(("minimum", SHARES.start())),
            shares if shares > *SHARES.end() => Some(("maximum", SHARES.end())),
            _ => None,
        };
        if let Some((which, bound)) = bound {
            let reason = format!("the {which} allowed cpu-shares is {bound}");
            return Err(super::invalid("linux.resources.cpu.shares", reason));
        }
        out.push(required("cpu", "cpu.shares", shares));
    }
    out.extend(cpu.period().filter(|&p| p != 0).map(|p| required("cpu", "cpu.cfs_period_us", p)));
    out.extend(cpu.quota().filter(|&q| q != 0).map(|q| limit("cpu", "cpu.cfs_quota_us", q)));
    out.extend(cpu.burst().map(|b| required("cpu", "cpu.cfs_burst_us", b)));
    out.extend(cpu.idle().map(|i| required("cpu", "cpu.idle", i)));
    out.extend(cpu.realtime_period().filter(|&p| p != 0).map(|p| required("cpu", "cpu.rt_period_us", p)));
    out.extend(cpu.realtime_runtime().filter(|&r| r != 0).map(|r| limit("cpu", "cpu.rt_runtime_us", r)));
    cpuset(cpu, out);
    Ok(())
}

fn cpuset(cpu: &LinuxCpu, out: &mut Vec<Setting>) {
    let named = |value: &Option<String>| value.clone().filter(|v| !v.is_empty());
    out.extend(named(cpu.cpus()).map(|c| required("cpuset", "cpuset.cpus", c)));
    out.extend(named(cpu.mems()).map(|m| required("cpuset", "cpuset.mems", m)));
}

/// 0 is no limit, as with runc up to 1.3 and in youki's conformance suite; version 1.3 of the specification would rather
/// have it be one.
fn pids_setting(limit: i64) -> Option<Setting> {
    match limit {
        0 => None,
        1.. => Some(required("pids", "pids.max", limit)),
        _ => Some(if_present("pids", "pids.max", "max")),
    }
}

/// The same file in both versions, one line for each device; a limit that is not named stays.
fn rdma(resources: &LinuxResources, out: &mut Vec<Setting>) {
    let mut devices: Vec<_> = resources.rdma().iter().flatten().collect();
    devices.sort_by_key(|(name, _)| *name);
    for (name, limits) in devices {
        let handles = limits.hca_handles().map(|handles| format!(" hca_handle={handles}"));
        let objects = limits.hca_objects().map(|objects| format!(" hca_object={objects}"));
        let line = [handles, objects].into_iter().flatten().collect::<String>();
        if !line.is_empty() {
            out.push(required("rdma", "rdma.max", format!("{name}{line}")));
        }
    }
}

fn block_v1(block: &LinuxBlockIo, out: &mut Vec<Setting>) {
    let c = "blkio";
    if let Some(weight) = block.weight().filter(|&w| w != 0) {
        out.push(if_present(c, "blkio.bfq.weight", weight));
        out.push(Setting { unless: Some("blkio.bfq.weight"), ..if_present(c, "blkio.weight", weight) });
    }
    out.extend(block.leaf_weight().filter(|&w| w != 0).map(|w| if_present(c, "blkio.leaf_weight", w)));
    for device in block.weight_device().iter().flatten() {
        if let Some(weight) = device.weight() {
            let value = format!("{}:{} {weight}", device.major(), device.minor());
            out.push(if_present(c, "blkio.bfq.weight_device", &value));
            let other = Some("blkio.bfq.weight_device");
            out.push(Setting { unless: other, ..if_present(c, "blkio.weight_device", value) });
        }
        if let Some(weight) = device.leaf_weight() {
            let value = format!("{}:{} {weight}", device.major(), device.minor());
            out.push(if_present(c, "blkio.leaf_weight_device", value));
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

/// Stands for the controller of what the unified map asks for: its file says which it is.
pub(super) const UNIFIED: &str = "";

/// The settings for version 2, in the order to write them.
pub(super) fn for_v2(resources: &LinuxResources) -> Result<Vec<Setting>> {
    let mut out = Vec::new();
    if let Some(memory) = resources.memory() {
        memory_v2(memory, &mut out)?;
    }
    if let Some(cpu) = resources.cpu() {
        cpu_v2(cpu, &mut out);
    }
    if let Some(pids) = resources.pids() {
        out.extend(pids_setting(pids.limit()));
    }
    if let Some(block) = resources.block_io() {
        block_v2(block, &mut out);
    }
    for limit in resources.hugepage_limits().iter().flatten() {
        let size = limit.page_size();
        out.push(required("hugetlb", &format!("hugetlb.{size}.max"), limit.limit()));
        out.push(if_present("hugetlb", &format!("hugetlb.{size}.rsvd.max"), limit.limit()));
    }
    rdma(resources, &mut out);
    let mut unified: Vec<_> = resources.unified().iter().flatten().collect();
    unified.sort();
    for (file, value) in unified {
        let field = "linux.resources.unified";
        if file.contains('/') {
            let reason = format!("unified resource {file:?} must be a file name (no slashes)");
            return Err(super::invalid(field, reason));
        }
        if file.find('.').is_none_or(|at| at == 0) {
            let reason = format!("unified resource {file:?} must be in the form CONTROLLER.PARAMETER");
            return Err(super::invalid(field, reason));
        }
        // A value of several lines is for files that are told one thing at a time.
        out.extend(value.lines().map(|line| required(UNIFIED, file, line)));
    }
    Ok(out)
}

fn memory_v2(memory: &LinuxMemory, out: &mut Vec<Setting>) -> Result<()> {
    let limit = memory.limit().filter(|&l| l != 0);
    let or_none =
        |file: &str, value: i64| Setting { required: value >= 0, ..required("memory", file, or_max(value)) };
    out.extend(limit.map(|l| or_none("memory.max", l)));
    out.extend(memory.reservation().filter(|&r| r != 0).map(|r| or_none("memory.low", r)));
    if let Some(swap) = memory.swap().filter(|&s| s != 0) {
        let alone = match (swap, limit) {
            (..=-1, _) => -1,
            (_, Some(limit)) if limit > 0 && swap >= limit => swap - limit,
            (_, Some(limit)) if limit > 0 => {
                return Err(super::invalid(
                    "linux.resources.memory.swap",
                    format!("{swap} is less than the memory limit {limit}"),
                ));
            }
            _ => {
                return Err(super::invalid(
                    "linux.resources.memory.swap",
                    "a swap limit needs a memory limit".into(),
                ));
            }
        };
        // As in version 1: no file, no swap accounting, nothing to limit.
        out.push(Setting { required: alone > 0, ..required("memory", "memory.swap.max", or_max(alone)) });
    }
    Ok(())
}

fn or_max(value: i64) -> String {
    if value < 0 { "max".into() } else { value.to_string() }
}

fn cpu_v2(cpu: &LinuxCpu, out: &mut Vec<Setting>) {
    out.extend(
        cpu.shares().filter(|&s| s != 0).map(|s| required("cpu", "cpu.weight", weight_from_shares(s))),
    );
    let quota = cpu.quota().filter(|&q| q != 0).map(or_max);
    let period = cpu.period().filter(|&p| p != 0);
    match (quota, period) {
        (Some(quota), Some(period)) => out.push(required("cpu", "cpu.max", format!("{quota} {period}"))),
        (Some(quota), None) => {
            out.push(Setting { required: quota != "max", ..required("cpu", "cpu.max", quota) })
        }
        (None, Some(period)) => out.push(required("cpu", "cpu.max", format!("max {period}"))),
        (None, None) => {}
    }
    out.extend(cpu.burst().map(|b| required("cpu", "cpu.max.burst", b)));
    out.extend(cpu.idle().map(|i| required("cpu", "cpu.idle", i)));
    cpuset(cpu, out);
}

/// CPU shares (2 to 262144, default 1024) as a weight (1 to 10000, default 100).
///
/// The quadratic in the logarithm that meets all three points, as runc and crun have it since 2025:
/// <https://github.com/kubernetes/kubernetes/issues/131216>.
pub(super) fn weight_from_shares(shares: u64) -> u64 {
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

fn block_v2(block: &LinuxBlockIo, out: &mut Vec<Setting>) {
    if let Some(weight) = block.weight().filter(|&w| w != 0) {
        out.push(if_present("io", "io.bfq.weight", weight));
        let other = if_present("io", "io.weight", format!("default {}", io_weight(weight)));
        out.push(Setting { unless: Some("io.bfq.weight"), ..other });
    }
    for device in block.weight_device().iter().flatten() {
        if let Some(weight) = device.weight() {
            let value = format!("{}:{} {weight}", device.major(), device.minor());
            out.push(if_present("io", "io.bfq.weight", value));
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

    fn resources(json: &str) -> LinuxResources {
        serde_json::from_str(json).unwrap()
    }

    fn lines(settings: Vec<Setting>) -> Vec<String> {
        settings.into_iter().map(|s| format!("{}={}", s.file, s.value)).collect()
    }

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
    fn limits_become_files() {
        let cases: [(&str, &[&str], &[&str]); 7] = [
            (
                r#"{"rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"mlx4_0":{"hcaObjects":4},"none":{}}}"#,
                &["rdma.max=mlx4_0 hca_object=4", "rdma.max=mlx5_1 hca_handle=3 hca_object=10000"],
                &["rdma.max=mlx4_0 hca_object=4", "rdma.max=mlx5_1 hca_handle=3 hca_object=10000"],
            ),
            (
                r#"{"blockIO":{"leafWeight":20,"weightDevice":[{"major":8,"minor":0,"leafWeight":30}]}}"#,
                &["blkio.leaf_weight=20", "blkio.leaf_weight_device=8:0 30"],
                &[],
            ),
            (
                r#"{"memory":{"limit":1048576,"swap":2097152,"reservation":524288}}"#,
                &[
                    "memory.limit_in_bytes=1048576",
                    "memory.memsw.limit_in_bytes=2097152",
                    "memory.soft_limit_in_bytes=524288",
                ],
                &["memory.max=1048576", "memory.low=524288", "memory.swap.max=1048576"],
            ),
            (
                r#"{"memory":{"limit":1048576,"swap":-1}}"#,
                &["memory.limit_in_bytes=1048576", "memory.memsw.limit_in_bytes=-1"],
                &["memory.max=1048576", "memory.swap.max=max"],
            ),
            (
                r#"{"cpu":{"shares":512,"quota":50000,"period":100000,"cpus":"0-1"}}"#,
                &["cpu.shares=512", "cpu.cfs_period_us=100000", "cpu.cfs_quota_us=50000", "cpuset.cpus=0-1"],
                &["cpu.weight=59", "cpu.max=50000 100000", "cpuset.cpus=0-1"],
            ),
            (r#"{"pids":{"limit":100}}"#, &["pids.max=100"], &["pids.max=100"]),
            (
                r#"{"pids":{"limit":-1},"cpu":{"quota":-1}}"#,
                &["cpu.cfs_quota_us=-1", "pids.max=max"],
                &["cpu.max=max", "pids.max=max"],
            ),
        ];
        for (json, v1, v2) in cases {
            assert_eq!(lines(for_v1(&resources(json)).unwrap()), v1, "{json}");
            assert_eq!(lines(for_v2(&resources(json)).unwrap()), v2, "{json}");
        }
    }

    #[test]
    fn no_limit_needs_no_controller() {
        let none =
            r#"{"memory":{"limit":-1,"swap":-1,"reservation":-1},"cpu":{"quota":-1},"pids":{"limit":-1}}"#;
        for settings in [for_v1(&resources(none)).unwrap(), for_v2(&resources(none)).unwrap()] {
            assert!(settings.len() >= 5 && settings.iter().all(|setting| !setting.required), "{settings:?}");
        }
        let some = for_v2(&resources(r#"{"cpu":{"quota":-1,"period":5000},"memory":{"limit":7}}"#)).unwrap();
        assert!(some.iter().all(|setting| setting.required), "{some:?}");
    }

    #[test]
    fn several_lines_are_several_settings() {
        let unified = resources(r#"{"unified":{"io.max":"8:0 rbps=1\n8:16 rbps=2"}}"#);
        assert_eq!(lines(for_v2(&unified).unwrap()), ["io.max=8:0 rbps=1", "io.max=8:16 rbps=2"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let swap = resources(r#"{"memory":{"limit":2097152,"swap":1048576}}"#);
        assert!(for_v2(&swap).is_err());
        let unified = resources(r#"{"unified":{"memory.high":"1"}}"#);
        assert!(for_v1(&unified).is_err());
        assert_eq!(lines(for_v2(&unified).unwrap()), ["memory.high=1"]);
        for json in [
            r#"{"unified":{"../memory.high":"1"}}"#,
            r#"{"unified":{"memory":"1"}}"#,
            r#"{"unified":{".":"1"}}"#,
        ] {
            assert!(for_v2(&resources(json)).is_err(), "{json}");
        }
        for json in
            [r#"{"cpu":{"shares":1}}"#, r#"{"cpu":{"shares":262145}}"#, r#"{"memory":{"swappiness":101}}"#]
        {
            assert!(for_v1(&resources(json)).is_err(), "{json}");
        }
    }
}
