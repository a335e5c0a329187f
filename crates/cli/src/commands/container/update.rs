//! `container update`.

use barge_api::containers::{Resources, RestartPolicy, UpdateRequest};

use super::config::restart_policy;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Failures, Result};
use crate::flags::flags;
use crate::flags::size::{Bytes, Cpus, SwapBytes};
use crate::output;

/// Update configuration of one or more containers.
pub(crate) struct Update;

flags! {
    /// Flags of `update`.
    pub(crate) struct UpdateFlags {
        blkio_weight: Option<u16> = "blkio-weight", "Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)";
        cpu_period: Option<i64> = "cpu-period", "Limit CPU CFS (Completely Fair Scheduler) period";
        cpu_quota: Option<i64> = "cpu-quota", "Limit CPU CFS (Completely Fair Scheduler) quota";
        cpu_rt_period: Option<i64> = "cpu-rt-period", "Limit the CPU real-time period in microseconds";
        cpu_rt_runtime: Option<i64> = "cpu-rt-runtime", "Limit the CPU real-time runtime in microseconds";
        cpu_shares: Option<i64> = "cpu-shares" / 'c', "CPU shares (relative weight)";
        cpus: Option<Cpus> = "cpus", "Number of CPUs";
        cpuset_cpus: Option<String> = "cpuset-cpus", "CPUs in which to allow execution (0-3, 0,1)";
        cpuset_mems: Option<String> = "cpuset-mems", "MEMs in which to allow execution (0-3, 0,1)";
        kernel_memory: Option<Bytes> = "kernel-memory", "";
        memory: Option<Bytes> = "memory" / 'm', "Memory limit";
        memory_reservation: Option<Bytes> = "memory-reservation", "Memory soft limit";
        memory_swap: Option<SwapBytes> = "memory-swap", "Swap limit equal to memory plus swap: -1 to enable unlimited swap";
        pids_limit: Option<i64> = "pids-limit", "Tune container pids limit (set -1 for unlimited)";
        restart: Option<String> = "restart", "Restart policy to apply when a container exits";
    }
}

impl Verb for Update {
    type Flags = UpdateFlags;
    const USAGE: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const ABOUT: &'static str = "Update configuration of one or more containers";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: UpdateFlags, args: Vec<String>) -> Result<()> {
        let policy = flags.restart.as_deref().map(restart_policy).transpose().map_err(Failure::new)?;
        let request = UpdateRequest {
            restart_policy: policy.unwrap_or_else(RestartPolicy::default),
            resources: resources(flags),
        };
        if request == UpdateRequest::default() {
            return Err(Failure::new("you must provide one or more flags when using this command"));
        }
        let containers = cli.client().await?.containers();
        let mut failures = Failures::default();
        for name in &args {
            if let Some(response) = failures.note(containers.update(name, &request).await) {
                response.warnings.iter().for_each(|warning| output::warn(warning));
                output::say(name);
            }
        }
        failures.into_result()
    }
}

fn resources(flags: UpdateFlags) -> Resources {
    Resources {
        blkio_weight: flags.blkio_weight.unwrap_or_default(),
        cpu_period: flags.cpu_period.unwrap_or_default(),
        cpu_quota: flags.cpu_quota.unwrap_or_default(),
        cpu_realtime_period: flags.cpu_rt_period.unwrap_or_default(),
        cpu_realtime_runtime: flags.cpu_rt_runtime.unwrap_or_default(),
        cpu_shares: flags.cpu_shares.unwrap_or_default(),
        nano_cpus: flags.cpus.unwrap_or_default().0,
        cpuset_cpus: flags.cpuset_cpus.unwrap_or_default(),
        cpuset_mems: flags.cpuset_mems.unwrap_or_default(),
        kernel_memory: flags.kernel_memory.unwrap_or_default().0,
        memory: flags.memory.unwrap_or_default().0,
        memory_reservation: flags.memory_reservation.unwrap_or_default().0,
        memory_swap: flags.memory_swap.unwrap_or_default().0,
        pids_limit: flags.pids_limit,
        ..Resources::default()
    }
}
