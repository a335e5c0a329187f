//! What the limits of a specification are in control files. Pure.
//!
//! ```text
//! settings.rs      what both versions have in common
//! settings/v1.rs   one file for each limit, in the hierarchy of its controller
//! settings/v2.rs   limits are converted to what version 2 has in their place
//! ```

mod v1;
mod v2;

use barge_oci::runtime_spec::{LinuxCpu, LinuxResources};

use super::invalid;
use crate::error::Result;
pub(super) use v1::for_v1;
pub(super) use v2::for_v2;

/// One value for one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// The version 1 controller whose hierarchy has the file.
    pub(super) controller: &'static str,
    pub(super) file: String,
    pub(super) value: String,
    pub(super) absent: Absent,
    /// Where the file is not there, another of the same meaning, and its value.
    pub(super) or: Option<(&'static str, String)>,
}

/// What it means that a kernel has no such file, or a host no such controller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// Somebody relies on the limit: refused.
    Refused,
    /// It only orders neighbours where the kernel can do that at all: passed over, and its owner is told.
    Told,
    /// It takes a limit away, or says what is so without it: passed over.
    Passed,
}

/// Stands for the controller of what the unified map asks for: its file says which it is.
pub(super) const UNIFIED: &str = "";

impl Setting {
    /// Each file that it may go to, with its value.
    pub(super) fn ways(&self) -> impl Iterator<Item = (&str, &str)> {
        let other = self.or.iter().map(|(file, value)| (*file, value.as_str()));
        std::iter::once((self.file.as_str(), self.value.as_str())).chain(other)
    }
}

fn required(controller: &'static str, file: &str, value: impl ToString) -> Setting {
    Setting { controller, file: file.into(), value: value.to_string(), absent: Absent::Refused, or: None }
}

fn if_present(controller: &'static str, file: &str, value: impl ToString) -> Setting {
    Setting { absent: Absent::Passed, ..required(controller, file, value) }
}

fn told(controller: &'static str, file: &str, value: impl ToString) -> Setting {
    Setting { absent: Absent::Told, ..required(controller, file, value) }
}

/// Required, unless it is what the kernel does anyway.
fn unless_default<T: ToString + PartialEq>(
    controller: &'static str,
    file: &str,
    value: T,
    default: T,
) -> Setting {
    let absent = if value == default { Absent::Passed } else { Absent::Refused };
    Setting { absent, ..required(controller, file, value) }
}

/// Less than nothing is no limit, which needs no controller.
fn limit(controller: &'static str, file: &str, value: i64) -> Setting {
    let absent = if value < 0 { Absent::Passed } else { Absent::Refused };
    Setting { absent, ..required(controller, file, value) }
}

fn cpuset(cpu: &LinuxCpu, out: &mut Vec<Setting>) {
    let named = |value: &Option<String>| value.clone().filter(|v| !v.is_empty());
    out.extend(named(cpu.cpus()).map(|c| required("cpuset", "cpuset.cpus", c)));
    out.extend(named(cpu.mems()).map(|m| required("cpuset", "cpuset.mems", m)));
}

/// 0 is no limit, as with runc up to 1.3 and in youki's conformance suite; version 1.3 of the specification would rather
/// have it be one.
fn pids(limit: i64) -> Option<Setting> {
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

/// A size of pages as it stands in the names of files (`64KB`, `2MB`, `1GB`), which is all that may stand there.
fn page_size(size: &str) -> Result<&str> {
    let number = size.strip_suffix('B').and_then(|size| size.strip_suffix(['K', 'M', 'G']));
    match number {
        Some(number) if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => Ok(size),
        _ => Err(invalid("linux.resources.hugepageLimits.pageSize", format!("{size:?} is no size of pages"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(json: &str) -> LinuxResources {
        serde_json::from_str(json).unwrap()
    }

    fn lines(settings: Vec<Setting>) -> Vec<String> {
        let line = |setting: &Setting| {
            setting.ways().map(|(file, value)| format!("{file}={value}")).collect::<Vec<_>>()
        };
        settings.iter().map(|setting| line(setting).join(" or ")).collect()
    }

    #[test]
    fn limits_become_files() {
        let cases: [(&str, &[&str], &[&str]); 12] = [
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
                &["memory.swap.max=1048576", "memory.max=1048576", "memory.low=524288"],
            ),
            (
                r#"{"memory":{"limit":1048576,"swap":-1}}"#,
                &["memory.limit_in_bytes=1048576", "memory.memsw.limit_in_bytes=-1"],
                &["memory.swap.max=max", "memory.max=1048576"],
            ),
            (
                r#"{"memory":{"limit":-1}}"#,
                &["memory.limit_in_bytes=-1", "memory.memsw.limit_in_bytes=-1"],
                &["memory.swap.max=max", "memory.max=max"],
            ),
            (
                r#"{"blockIO":{"weight":100,"weightDevice":[{"major":8,"minor":0,"weight":50}]}}"#,
                &[
                    "blkio.bfq.weight=100 or blkio.weight=100",
                    "blkio.bfq.weight_device=8:0 50 or blkio.weight_device=8:0 50",
                ],
                &["io.bfq.weight=100 or io.weight=default 910", "io.bfq.weight=8:0 50"],
            ),
            (
                r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1024}],"throttleWriteIOPSDevice":[{"major":8,"minor":16,"rate":7}]}}"#,
                &["blkio.throttle.read_bps_device=8:0 1024", "blkio.throttle.write_iops_device=8:16 7"],
                &["io.max=8:0 rbps=1024", "io.max=8:16 wiops=7"],
            ),
            (
                r#"{"hugepageLimits":[{"pageSize":"2MB","limit":4096}],"cpu":{"burst":5,"idle":1}}"#,
                &[
                    "cpu.cfs_burst_us=5",
                    "cpu.idle=1",
                    "hugetlb.2MB.limit_in_bytes=4096",
                    "hugetlb.2MB.rsvd.limit_in_bytes=4096",
                ],
                &["cpu.max.burst=5", "cpu.idle=1", "hugetlb.2MB.max=4096", "hugetlb.2MB.rsvd.max=4096"],
            ),
            (
                r#"{"network":{"classID":7,"priorities":[{"name":"eth0","priority":3}]},"memory":{"swappiness":0,"disableOOMKiller":true,"useHierarchy":true}}"#,
                &[
                    "memory.use_hierarchy=1",
                    "memory.swappiness=0",
                    "memory.oom_control=1",
                    "net_cls.classid=7",
                    "net_prio.ifpriomap=eth0 3",
                ],
                &[],
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
        let none = r#"{"memory":{"limit":-1,"swap":-1,"reservation":-1},"cpu":{"quota":-1,"idle":0,"burst":0},"pids":{"limit":-1}}"#;
        let passed = |setting: &Setting| setting.absent == Absent::Passed;
        for settings in [for_v1(&resources(none)).unwrap(), for_v2(&resources(none)).unwrap()] {
            assert!(settings.len() >= 7 && settings.iter().all(passed), "{settings:?}");
        }
        let some = for_v2(&resources(r#"{"cpu":{"quota":-1,"period":5000},"memory":{"limit":7}}"#)).unwrap();
        assert!(some.iter().all(|setting| setting.absent == Absent::Refused), "{some:?}");
    }

    #[test]
    fn several_lines_are_several_settings() {
        let unified = resources(r#"{"unified":{"io.max":"8:0 rbps=1\n8:16 rbps=2"}}"#);
        assert_eq!(lines(for_v2(&unified).unwrap()), ["io.max=8:0 rbps=1", "io.max=8:16 rbps=2"]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
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
        for size in ["2M", "MB", "2MB/../memory", "-2MB", ""] {
            let json = format!(r#"{{"hugepageLimits":[{{"pageSize":"{size}","limit":1}}]}}"#);
            assert!(for_v1(&resources(&json)).is_err() && for_v2(&resources(&json)).is_err(), "{size}");
        }
        for json in
            [r#"{"cpu":{"shares":1}}"#, r#"{"cpu":{"shares":262145}}"#, r#"{"memory":{"swappiness":101}}"#]
        {
            assert!(for_v1(&resources(json)).is_err(), "{json}");
        }
    }
}
