//! The process of a container: command line, environment, limits, identity.

use barge_api::containers::{ContainerConfig, HostConfig, Ulimit};
use barge_oci::runtime_spec::{
    Box as ConsoleSize, BoxBuilder, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, User,
};

use super::capabilities;
use crate::error::Result;

/// Where commands are looked for unless the image says otherwise.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the init of `--init` is mounted.
pub(crate) const INIT_PATH: &str = "/sbin/docker-init";

/// The command line, entrypoint first.
pub(crate) fn command(config: &ContainerConfig) -> Vec<String> {
    let words = config.entrypoint.iter().chain(&config.cmd);
    words.flatten().cloned().collect()
}

/// The environment: Docker's own variables first, then the container's, which win.
pub(crate) fn environment(config: &ContainerConfig) -> Vec<String> {
    let mut env = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={}", config.hostname)];
    if config.tty {
        env.push("TERM=xterm".to_owned());
    }
    apply_env(&mut env, &config.env);
    env
}

/// Replaces and appends variables; a name without `=` takes one away.
pub(crate) fn apply_env(env: &mut Vec<String>, changes: &[String]) {
    for change in changes {
        let name = change.split('=').next().unwrap_or_default();
        let same = |variable: &String| variable.split('=').next() == Some(name);
        match (env.iter().position(same), change.contains('=')) {
            (Some(at), true) => env[at].clone_from(change),
            (Some(at), false) => _ = env.remove(at),
            (None, true) => env.push(change.clone()),
            (None, false) => {}
        }
    }
}

/// The OCI process. The user is looked up by the container's init, in the container's own files.
///
/// # Errors
/// Invalid, for an unknown capability.
pub(crate) fn oci(
    config: &ContainerConfig,
    host_config: &HostConfig,
    capabilities: &[String],
    no_new_privileges: bool,
) -> Result<Process> {
    let mut process = Process::default();
    let cwd = if config.working_dir.is_empty() { "/" } else { &config.working_dir };
    let score = i32::try_from(host_config.oom_score_adj).unwrap_or_default();
    process
        .set_terminal(Some(config.tty))
        .set_console_size(config.tty.then(|| console_size(host_config.console_size)).flatten())
        .set_user(user(host_config))
        .set_args(Some(command(config)))
        .set_env(Some(environment(config)))
        .set_cwd(cwd.into())
        .set_capabilities(Some(capabilities::oci(capabilities)?))
        .set_rlimits(rlimits(&host_config.resources.ulimits))
        .set_no_new_privileges(Some(no_new_privileges))
        .set_oom_score_adj(Some(score));
    Ok(process)
}

/// From rows and columns; `None` if either is not given.
pub(crate) fn console_size([rows, columns]: [u32; 2]) -> Option<ConsoleSize> {
    if rows == 0 || columns == 0 {
        return None;
    }
    BoxBuilder::default().height(rows).width(columns).build().ok()
}

/// Numeric groups of `--group-add`; the user and all named groups are looked up in the container.
fn user(host_config: &HostConfig) -> User {
    let groups: Vec<u32> = host_config.group_add.iter().filter_map(|group| group.parse().ok()).collect();
    let mut user = User::default();
    user.set_additional_gids((!groups.is_empty()).then_some(groups));
    user
}

fn rlimits(ulimits: &[Ulimit]) -> Option<Vec<PosixRlimit>> {
    // -1 is no limit, which the kernel writes with all bits set.
    let value = |limit: i64| u64::try_from(limit).unwrap_or(u64::MAX);
    let limits: Vec<_> = ulimits
        .iter()
        .filter_map(|ulimit| {
            let limit = PosixRlimitBuilder::default().typ(rlimit_kind(&ulimit.name)?);
            limit.hard(value(ulimit.hard)).soft(value(ulimit.soft)).build().ok()
        })
        .collect();
    (!limits.is_empty()).then_some(limits)
}

/// The limit `--ulimit` names.
pub(crate) fn rlimit_kind(name: &str) -> Option<PosixRlimitType> {
    let kind = match name {
        "core" => PosixRlimitType::RlimitCore,
        "cpu" => PosixRlimitType::RlimitCpu,
        "data" => PosixRlimitType::RlimitData,
        "fsize" => PosixRlimitType::RlimitFsize,
        "locks" => PosixRlimitType::RlimitLocks,
        "memlock" => PosixRlimitType::RlimitMemlock,
        "msgqueue" => PosixRlimitType::RlimitMsgqueue,
        "nice" => PosixRlimitType::RlimitNice,
        "nofile" => PosixRlimitType::RlimitNofile,
        "nproc" => PosixRlimitType::RlimitNproc,
        "rss" => PosixRlimitType::RlimitRss,
        "rtprio" => PosixRlimitType::RlimitRtprio,
        "rttime" => PosixRlimitType::RlimitRttime,
        "sigpending" => PosixRlimitType::RlimitSigpending,
        "stack" => PosixRlimitType::RlimitStack,
        _ => return None,
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments() {
        let config = ContainerConfig {
            hostname: "web".to_owned(),
            tty: true,
            env: ["A=1", "TERM=dumb", "HOSTNAME", "A=2"].map(str::to_owned).to_vec(),
            ..ContainerConfig::default()
        };
        assert_eq!(environment(&config), [DEFAULT_PATH, "TERM=dumb", "A=2"]);
    }

    #[test]
    fn unlimited_is_all_bits() {
        let ulimit = Ulimit { name: "core".to_owned(), hard: -1, soft: 5 };
        let limits = rlimits(&[ulimit]).unwrap();
        assert_eq!((limits[0].hard(), limits[0].soft()), (u64::MAX, 5));
        assert_eq!(rlimits(&[]), None);
    }
}
