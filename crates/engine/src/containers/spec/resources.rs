//! Limits: checked as dockerd checks them, then said in OCI's words.

use barge_api::containers::Resources;
use barge_oci::runtime_spec::{
    LinuxBlockIo, LinuxCpu, LinuxMemory, LinuxPids, LinuxResources, LinuxThrottleDeviceBuilder,
    LinuxWeightDeviceBuilder,
};

use super::devices;
use super::host::{CgroupSetup, Host, parse_list};
use crate::error::{Error, Result};

const LEAST_MEMORY: i64 = 6 << 20;
/// Microseconds of the period `--cpus` is given over.
const CPUS_PERIOD: i64 = 100_000;

/// Whether limits belong to a new container or change one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Create,
    Update,
}

/// Checks limits and drops what this host cannot do, with a warning each.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn check(resources: &mut Resources, host: &Host, purpose: Purpose) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    check_memory(resources, host, purpose, &mut warnings)?;
    check_cpu(resources, host)?;
    check_sets(resources, host)?;
    if resources.blkio_weight > 0 && !(10..=1000).contains(&resources.blkio_weight) {
        return Err(Error::invalid("Range of blkio weight is from 10 to 1000"));
    }
    if resources.io_maximum_bandwidth != 0 || resources.io_maximum_iops != 0 {
        return Err(Error::invalid(
            "Invalid QoS settings: linux does not support Maximum IO Bandwidth or Maximum IO IOps",
        ));
    }
    if resources.cpu_percent > 0 {
        warnings.push("linux does not support CPU percent. Percent discarded.".to_owned());
        resources.cpu_percent = 0;
    }
    for rule in &resources.device_cgroup_rules {
        devices::parse_rule(rule)?;
    }
    Ok(warnings)
}

fn check_memory(
    resources: &mut Resources,
    host: &Host,
    purpose: Purpose,
    warnings: &mut Vec<String>,
) -> Result<()> {
    let refuse = |text: &str| Err(Error::invalid(text));
    // The CLI sends -1 for a swappiness that was not given.
    if resources.memory_swappiness == Some(-1) {
        resources.memory_swappiness = None;
    }
    let (memory, reservation) = (resources.memory, resources.memory_reservation);
    if memory != 0 && memory < LEAST_MEMORY {
        return refuse("Minimum memory limit allowed is 6MB");
    }
    if memory > 0 && resources.memory_swap != -1 && !host.swap_limit {
        warnings.push(
            "Your kernel does not support swap limit capabilities or the cgroup is not mounted. \
             Memory limited without swap."
                .to_owned(),
        );
        resources.memory_swap = -1;
    }
    if memory > 0 && resources.memory_swap > 0 && resources.memory_swap < memory {
        return refuse("Minimum memoryswap limit should be larger than memory limit, see usage");
    }
    if memory == 0 && resources.memory_swap > 0 && purpose == Purpose::Create {
        return refuse("You should always set the Memory limit when using Memoryswap limit, see usage");
    }
    if let Some(swappiness) = resources.memory_swappiness {
        if host.cgroup == CgroupSetup::Unified {
            warnings.push(
                "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. \
                 Memory swappiness discarded."
                    .to_owned(),
            );
            resources.memory_swappiness = None;
        } else if !(0..=100).contains(&swappiness) {
            return Err(Error::invalid(format!(
                "Invalid value: {swappiness}, valid memory swappiness range is 0-100"
            )));
        }
    }
    if reservation > 0 && reservation < LEAST_MEMORY {
        return refuse("Minimum memory reservation allowed is 6MB");
    }
    if memory > 0 && reservation > 0 && memory < reservation {
        return refuse("Minimum memory limit can not be less than memory reservation limit, see usage");
    }
    if host.cgroup == CgroupSetup::Unified {
        if resources.oom_kill_disable == Some(true) {
            warnings
                .push("Your kernel does not support OomKillDisable. OomKillDisable discarded.".to_owned());
        }
        resources.oom_kill_disable = None;
    } else if resources.oom_kill_disable == Some(true) && memory == 0 {
        warnings.push(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the \
             system running out of resources."
                .to_owned(),
        );
    }
    Ok(())
}

fn check_cpu(resources: &Resources, host: &Host) -> Result<()> {
    let refuse = |text: &str| Err(Error::invalid(text));
    if resources.nano_cpus > 0 && resources.cpu_period > 0 {
        return refuse("Conflicting options: Nano CPUs and CPU Period cannot both be set");
    }
    if resources.nano_cpus > 0 && resources.cpu_quota > 0 {
        return refuse("Conflicting options: Nano CPUs and CPU Quota cannot both be set");
    }
    let most = i64::from(host.cpus) * 1_000_000_000;
    if resources.nano_cpus < 0 || resources.nano_cpus > most {
        let cpus = host.cpus;
        return Err(Error::invalid(format!(
            "range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available"
        )));
    }
    if resources.cpu_period != 0 && !(1000..=1_000_000).contains(&resources.cpu_period) {
        return refuse(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        );
    }
    if resources.cpu_quota > 0 && resources.cpu_quota < 1000 {
        return refuse("CPU cfs quota can not be less than 1ms (i.e. 1000)");
    }
    if resources.cpu_shares < 0 {
        return Err(Error::invalid(format!(
            "invalid CPU shares ({}): value must be a positive integer",
            resources.cpu_shares
        )));
    }
    Ok(())
}

fn check_sets(resources: &Resources, host: &Host) -> Result<()> {
    let within = |wanted: &str, available: &str, what: &str| -> Result<bool> {
        let wanted = parse_list(wanted)
            .ok_or_else(|| Error::invalid(format!("Invalid value {wanted} for cpuset {what}")))?;
        let available = parse_list(available).unwrap_or_default();
        Ok(available.is_empty() || wanted.iter().all(|number| available.contains(number)))
    };
    if !within(&resources.cpuset_cpus, &host.cpu_list, "cpus")? {
        return Err(Error::invalid(format!(
            "Requested CPUs are not available - requested {}, available: {}",
            resources.cpuset_cpus, host.cpu_list
        )));
    }
    if !within(&resources.cpuset_mems, &host.node_list, "mems")? {
        return Err(Error::invalid(format!(
            "Requested memory nodes are not available - requested {}, available: {}",
            resources.cpuset_mems, host.node_list
        )));
    }
    Ok(())
}

/// The OCI form, without the rules for devices.
///
/// # Errors
/// System, if a block device named in a limit cannot be looked at.
pub(crate) fn oci(resources: &Resources) -> Result<LinuxResources> {
    let mut oci = LinuxResources::default();
    oci.set_memory(memory(resources)).set_cpu(cpu(resources)).set_block_io(block_io(resources)?);
    // 0 and below take a limit away, which the runtime says as -1.
    oci.set_pids(resources.pids_limit.map(|limit| {
        let mut pids = LinuxPids::default();
        pids.set_limit(if limit > 0 { limit } else { -1 });
        pids
    }));
    Ok(oci)
}

fn positive(number: i64) -> Option<i64> {
    (number > 0).then_some(number)
}

fn memory(resources: &Resources) -> Option<LinuxMemory> {
    let mut memory = LinuxMemory::default();
    memory
        .set_limit(positive(resources.memory))
        .set_reservation(positive(resources.memory_reservation))
        .set_swap((resources.memory_swap != 0).then_some(resources.memory_swap))
        .set_swappiness(resources.memory_swappiness.and_then(|value| u64::try_from(value).ok()))
        .set_disable_oom_killer(resources.oom_kill_disable.filter(|disable| *disable));
    (memory != LinuxMemory::default()).then_some(memory)
}

fn cpu(resources: &Resources) -> Option<LinuxCpu> {
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let unsigned = |number: i64| positive(number).and_then(|number| u64::try_from(number).ok());
    let mut cpu = LinuxCpu::default();
    cpu.set_shares(unsigned(resources.cpu_shares))
        .set_cpus(text(&resources.cpuset_cpus))
        .set_mems(text(&resources.cpuset_mems))
        .set_period(unsigned(resources.cpu_period))
        .set_quota((resources.cpu_quota != 0).then_some(resources.cpu_quota))
        .set_realtime_period(unsigned(resources.cpu_realtime_period))
        .set_realtime_runtime(
            (resources.cpu_realtime_runtime != 0).then_some(resources.cpu_realtime_runtime),
        );
    if resources.nano_cpus > 0 {
        let quota = i128::from(resources.nano_cpus) * i128::from(CPUS_PERIOD) / 1_000_000_000;
        cpu.set_period(unsigned(CPUS_PERIOD)).set_quota(i64::try_from(quota).ok());
    }
    (cpu != LinuxCpu::default()).then_some(cpu)
}

fn block_io(resources: &Resources) -> Result<Option<LinuxBlockIo>> {
    let throttles = |limits: &[barge_api::containers::ThrottleDevice]| -> Result<_> {
        let devices = limits.iter().map(|limit| {
            let (major, minor) = devices::numbers(&limit.path)?;
            let device = LinuxThrottleDeviceBuilder::default().major(major).minor(minor).rate(limit.rate);
            device.build().map_err(Error::failed("limiting a block device"))
        });
        let devices = devices.collect::<Result<Vec<_>>>()?;
        Ok((!devices.is_empty()).then_some(devices))
    };
    let weights = resources.blkio_weight_device.iter().map(|weight| {
        let (major, minor) = devices::numbers(&weight.path)?;
        let device = LinuxWeightDeviceBuilder::default().major(major).minor(minor).weight(weight.weight);
        device.build().map_err(Error::failed("weighting a block device"))
    });
    let weights = weights.collect::<Result<Vec<_>>>()?;
    let mut block_io = LinuxBlockIo::default();
    block_io
        .set_weight((resources.blkio_weight != 0).then_some(resources.blkio_weight))
        .set_weight_device((!weights.is_empty()).then_some(weights))
        .set_throttle_read_bps_device(throttles(&resources.blkio_device_read_bps)?)
        .set_throttle_write_bps_device(throttles(&resources.blkio_device_write_bps)?)
        .set_throttle_read_iops_device(throttles(&resources.blkio_device_read_iops)?)
        .set_throttle_write_iops_device(throttles(&resources.blkio_device_write_iops)?);
    Ok((block_io != LinuxBlockIo::default()).then_some(block_io))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            arch: "amd64",
            kernel: (6, 1),
            cpus: 2,
            cpu_list: "0-1".to_owned(),
            node_list: "0".to_owned(),
            cgroup: CgroupSetup::Legacy,
            swap_limit: true,
            thermal_throttles: Vec::new(),
        }
    }

    #[test]
    fn refusals_in_dockers_words() {
        type Change = fn(&mut Resources);
        let cases: [(Change, &str); 14] = [
            (|r| r.memory = 1000, "Minimum memory limit allowed is 6MB"),
            (|r| r.memory = -1, "Minimum memory limit allowed is 6MB"),
            (
                |r| (r.memory, r.memory_swap) = (20 << 20, 10 << 20),
                "Minimum memoryswap limit should be larger than memory limit, see usage",
            ),
            (
                |r| r.memory_swap = 10 << 20,
                "You should always set the Memory limit when using Memoryswap limit, see usage",
            ),
            (|r| r.memory_reservation = 1, "Minimum memory reservation allowed is 6MB"),
            (
                |r| (r.memory, r.memory_reservation) = (10 << 20, 20 << 20),
                "Minimum memory limit can not be less than memory reservation limit, see usage",
            ),
            (
                |r| r.memory_swappiness = Some(101),
                "Invalid value: 101, valid memory swappiness range is 0-100",
            ),
            (
                |r| r.nano_cpus = 3_000_000_000,
                "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
            ),
            (
                |r| (r.nano_cpus, r.cpu_period) = (1, 1000),
                "Conflicting options: Nano CPUs and CPU Period cannot both be set",
            ),
            (|r| r.cpu_quota = 10, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
            (
                |r| r.cpuset_cpus = "7".to_owned(),
                "Requested CPUs are not available - requested 7, available: 0-1",
            ),
            (|r| r.cpuset_cpus = "x".to_owned(), "Invalid value x for cpuset cpus"),
            (|r| r.blkio_weight = 5, "Range of blkio weight is from 10 to 1000"),
            (|r| r.cpu_shares = -2, "invalid CPU shares (-2): value must be a positive integer"),
        ];
        for (change, text) in cases {
            let mut resources = Resources::default();
            change(&mut resources);
            let error = check(&mut resources, &host(), Purpose::Create).unwrap_err();
            assert_eq!(error.message(), text);
        }
    }

    #[test]
    fn what_the_host_cannot_do_is_dropped_with_a_warning() {
        let mut resources = Resources { memory: 64 << 20, ..Resources::default() };
        let poor = Host { swap_limit: false, ..host() };
        let warnings = check(&mut resources, &poor, Purpose::Create).unwrap();
        assert_eq!((warnings.len(), resources.memory_swap), (1, -1));
        let mut resources = Resources { oom_kill_disable: Some(true), ..Resources::default() };
        let unified = Host { cgroup: CgroupSetup::Unified, ..host() };
        assert_eq!(check(&mut resources, &unified, Purpose::Create).unwrap().len(), 1);
        assert_eq!(resources.oom_kill_disable, None);
    }

    #[test]
    fn oci_words() {
        let resources = Resources {
            memory: 64 << 20,
            memory_swap: 128 << 20,
            nano_cpus: 1_500_000_000,
            cpu_shares: 512,
            cpuset_cpus: "0".to_owned(),
            pids_limit: Some(0),
            ..Resources::default()
        };
        let found = serde_json::to_value(oci(&resources).unwrap()).unwrap();
        let expected = serde_json::json!({
            "memory": {"limit": 64 << 20, "swap": 128 << 20},
            "cpu": {"shares": 512, "quota": 150_000, "period": 100_000, "cpus": "0"},
            "pids": {"limit": -1},
        });
        assert_eq!(found, expected);
    }
}
