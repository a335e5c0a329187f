//! Whether a request makes sense, in Docker's words, and Docker's defaults for what it leaves open.

use barge_api::containers::{ContainerConfig, HealthConfig, HostConfig, RestartPolicy};

use super::host::{CgroupSetup, Host};
use super::paths::clean;
use super::{capabilities, mount_points, ports, resources, security, signals};
use crate::config::Config;
use crate::error::{Error, Result};

const LONGEST_HOSTNAME: usize = 64;
/// Nanoseconds: the shortest duration of a health check.
const LEAST_DURATION: i64 = 1_000_000;

/// Paths hidden from a container unless it is privileged.
pub(crate) const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Paths a container can read but not change unless it is privileged.
pub(crate) const READONLY_PATHS: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

fn refuse<T>(text: impl Into<String>) -> Result<T> {
    Err(Error::invalid(text))
}

/// Checks the portable half.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn config(config: &mut ContainerConfig) -> Result<()> {
    if !config.working_dir.is_empty() {
        if !config.working_dir.starts_with('/') {
            return refuse(format!(
                "the working directory '{}' is invalid, it needs to be an absolute path",
                config.working_dir
            ));
        }
        config.working_dir = clean(&config.working_dir);
    }
    if !config.stop_signal.is_empty() {
        signals::parse(&config.stop_signal)?;
    }
    for variable in &config.env {
        if variable.is_empty() || variable.starts_with('=') {
            return refuse(format!("invalid environment variable: {variable}"));
        }
        if variable.contains('\0') {
            return refuse("invalid environment variable: nul byte in value".to_owned());
        }
    }
    if config.hostname.len() > LONGEST_HOSTNAME {
        return refuse(format!(
            "hostname {:?} is too long (maximum {LONGEST_HOSTNAME} bytes)",
            config.hostname
        ));
    }
    config.healthcheck.as_ref().map_or(Ok(()), health)
}

fn health(health: &HealthConfig) -> Result<()> {
    let durations = [
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ];
    for (name, duration) in durations {
        if duration != 0 && duration < LEAST_DURATION {
            return refuse(format!("{name} in Healthcheck cannot be less than 1ms"));
        }
    }
    if health.retries < 0 {
        return refuse("Retries in Healthcheck cannot be negative");
    }
    Ok(())
}

/// Checks the host's half; its warnings are those of what this host cannot do.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn host_config(host_config: &mut HostConfig, host: &Host) -> Result<Vec<String>> {
    if host_config.auto_remove && !matches!(host_config.restart_policy.name.as_str(), "" | "no") {
        return refuse("can't create 'AutoRemove' container with restart policy");
    }
    host_config.mounts.iter().try_for_each(|mount| mount_points::parse_mount(mount).map(drop))?;
    for extra in &host_config.extra_hosts {
        extra_host(extra)?;
    }
    ports::check(&host_config.port_bindings)?;
    restart_policy(&host_config.restart_policy)?;
    capabilities::normalize(&host_config.cap_add).map_err(|error| error.within("invalid CapAdd"))?;
    capabilities::normalize(&host_config.cap_drop).map_err(|error| error.within("invalid CapDrop"))?;
    if !matches!(host_config.isolation.as_str(), "" | "default") {
        return refuse(format!("invalid isolation '{}' on linux", host_config.isolation));
    }
    if host_config.annotations.contains_key("") {
        return refuse("invalid Annotations: the empty string is not permitted as an annotation key");
    }
    let mut warnings = resources::check(&mut host_config.resources, host, resources::Purpose::Create)?;
    modes(host_config)?;
    if host_config.shm_size < 0 {
        return refuse("SHM size can not be less than 0");
    }
    if !(-1000..=1000).contains(&host_config.oom_score_adj) {
        let value = host_config.oom_score_adj;
        return refuse(format!("Invalid value {value}, range for oom score adj is [-1000, 1000]"));
    }
    if host_config.network_mode == "host" && !host_config.port_bindings.is_empty() {
        warnings.push("Published ports are discarded when using host network mode".to_owned());
    }
    if !matches!(host_config.runtime.as_str(), "" | "runc" | "io.containerd.runc.v2" | "barge") {
        return refuse(format!("unknown or invalid runtime name: {}", host_config.runtime));
    }
    if !matches!(host_config.userns_mode.as_str(), "" | "host") {
        return refuse(format!("invalid USER mode: {}", host_config.userns_mode));
    }
    security::parse(&host_config.security_opt, false)?;
    ulimits(host_config)?;
    if !host_config.resources.device_requests.is_empty() {
        let request = &host_config.resources.device_requests[0];
        return refuse(format!(
            "could not select device driver {:?} with capabilities: {:?}",
            request.driver, request.capabilities
        ));
    }
    log_config(host_config)?;
    Ok(warnings)
}

fn modes(host_config: &HostConfig) -> Result<()> {
    let shared = |mode: &str| mode.strip_prefix("container:").is_some_and(|container| !container.is_empty());
    let ipc = host_config.ipc_mode.as_str();
    if !matches!(ipc, "" | "none" | "private" | "shareable" | "host") && !shared(ipc) {
        return refuse(format!("invalid IPC mode: {ipc}"));
    }
    let pid = host_config.pid_mode.as_str();
    if !matches!(pid, "" | "host") && !shared(pid) {
        return refuse(format!("invalid PID mode: {pid}"));
    }
    if !matches!(host_config.uts_mode.as_str(), "" | "host") {
        return refuse(format!("invalid UTS mode: {}", host_config.uts_mode));
    }
    if !matches!(host_config.cgroupns_mode.as_str(), "" | "private" | "host") {
        return refuse(format!("invalid cgroup namespace mode: {}", host_config.cgroupns_mode));
    }
    let network = host_config.network_mode.as_str();
    if network.starts_with("container:") && !shared(network) {
        return refuse("invalid container format container:<name|id>");
    }
    Ok(())
}

/// Checks what a container that shares a network cannot have of its own.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn together(config: &ContainerConfig, host_config: &HostConfig) -> Result<()> {
    let conflict = |what: &str| refuse(format!("conflicting options: {what}"));
    if host_config.uts_mode == "host" && !config.hostname.is_empty() {
        return conflict("hostname and the UTS mode");
    }
    if !host_config.network_mode.starts_with("container:") {
        return Ok(());
    }
    if !config.hostname.is_empty() {
        return conflict("hostname and the network mode");
    }
    if !host_config.links.is_empty() {
        return conflict(
            "container type network can't be used with links. This would result in undefined behavior",
        );
    }
    if !host_config.dns.is_empty() {
        return conflict("dns and the network mode");
    }
    if !host_config.extra_hosts.is_empty() {
        return conflict("custom host-to-IP mapping and the network mode");
    }
    if !host_config.port_bindings.is_empty() || host_config.publish_all_ports {
        return conflict("port publishing and the container type network mode");
    }
    if !config.exposed_ports.is_empty() {
        return conflict("port exposing and the container type network mode");
    }
    Ok(())
}

/// Checks a restart policy.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn restart_policy(policy: &RestartPolicy) -> Result<()> {
    match policy.name.as_str() {
        "always" | "unless-stopped" | "no" if policy.maximum_retry_count != 0 => {
            let negative = if policy.maximum_retry_count < 0 { " and cannot be negative" } else { "" };
            refuse(format!(
                "invalid restart policy: maximum retry count can only be used with 'on-failure'{negative}"
            ))
        }
        "always" | "unless-stopped" | "no" | "" => Ok(()),
        "on-failure" if policy.maximum_retry_count < 0 => {
            refuse("invalid restart policy: maximum retry count cannot be negative")
        }
        "on-failure" => Ok(()),
        name => refuse(format!(
            "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or \
             'unless-stopped'"
        )),
    }
}

fn extra_host(text: &str) -> Result<()> {
    let divided = text.split_once(['=', ':']);
    let Some((name, address)) = divided.filter(|(name, _)| !name.is_empty()) else {
        return refuse(format!("bad format for add-host: {text:?}"));
    };
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    if name.is_empty() || (address != "host-gateway" && bare.parse::<std::net::IpAddr>().is_err()) {
        return refuse(format!("invalid IP address in add-host: {address:?}"));
    }
    Ok(())
}

fn ulimits(host_config: &HostConfig) -> Result<()> {
    for limit in &host_config.resources.ulimits {
        if super::process::rlimit_kind(&limit.name).is_none() {
            return refuse(format!("invalid ulimit type: {}", limit.name));
        }
        if limit.hard != -1 && (limit.soft > limit.hard || limit.soft == -1) {
            return refuse(format!(
                "ulimit soft limit must be less than or equal to hard limit: {} > {}",
                limit.soft, limit.hard
            ));
        }
    }
    Ok(())
}

fn log_config(host_config: &HostConfig) -> Result<()> {
    let driver = host_config.log_config.driver.as_str();
    let known: &[&str] = match driver {
        "" | "json-file" | "local" => &[
            "max-file",
            "max-size",
            "compress",
            "labels",
            "labels-regex",
            "env",
            "env-regex",
            "tag",
            "mode",
            "max-buffer-size",
        ],
        "none" => return Ok(()),
        _ => return refuse(format!("logger: no log driver named '{driver}' is registered")),
    };
    for key in host_config.log_config.config.keys() {
        if !known.contains(&key.as_str()) {
            let driver = if driver.is_empty() { "json-file" } else { driver };
            return refuse(format!("unknown log opt '{key}' for {driver} log driver"));
        }
    }
    super::log::parse(&host_config.log_config).map(drop)
}

/// Docker's defaults for what the request leaves open; after the checks.
pub(crate) fn adapt(host_config: &mut HostConfig, defaults: &Config, host: &Host) {
    let set = |field: &mut String, value: &str| {
        if field.is_empty() {
            value.clone_into(field);
        }
    };
    set(&mut host_config.restart_policy.name, "no");
    set(&mut host_config.network_mode, "default");
    if host_config.network_mode == "default" {
        "bridge".clone_into(&mut host_config.network_mode);
    }
    set(&mut host_config.ipc_mode, &defaults.default_ipc_mode);
    set(&mut host_config.runtime, "runc");
    if host_config.shm_size == 0 {
        host_config.shm_size = defaults.default_shm_size;
    }
    if host_config.resources.memory > 0 && host_config.resources.memory_swap == 0 {
        host_config.resources.memory_swap = host_config.resources.memory * 2;
    }
    let host_has_one_hierarchy = host.cgroup == CgroupSetup::Unified;
    let cgroupns = match &defaults.default_cgroupns_mode {
        _ if host_config.privileged && !host_has_one_hierarchy => "host",
        Some(mode) => mode,
        None if host_has_one_hierarchy => "private",
        None => "host",
    };
    set(&mut host_config.cgroupns_mode, cgroupns);
    if !host_has_one_hierarchy && host_config.resources.oom_kill_disable.is_none() {
        host_config.resources.oom_kill_disable = Some(false);
    }
    if host_config.log_config.driver.is_empty() {
        host_config.log_config.driver.clone_from(&defaults.log.driver);
    }
    if host_config.log_config.driver == defaults.log.driver {
        for (key, value) in &defaults.log.config {
            host_config.log_config.config.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    for (name, limit) in &defaults.default_ulimits {
        if !host_config.resources.ulimits.iter().any(|own| own.name == *name) {
            host_config.resources.ulimits.push(limit.clone());
        }
    }
    if host_config.privileged {
        host_config.masked_paths = Some(Vec::new());
        host_config.readonly_paths = Some(Vec::new());
    }
    let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>();
    let masked = || {
        let mut paths = owned(&MASKED_PATHS);
        paths.extend(host.thermal_throttles.iter().cloned());
        paths
    };
    host_config.masked_paths.get_or_insert_with(masked);
    host_config.readonly_paths.get_or_insert_with(|| owned(&READONLY_PATHS));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_are_refused_in_dockers_words() {
        type Change = fn(&mut ContainerConfig);
        let cases: [(Change, &str); 5] = [
            (
                |c| c.working_dir = "srv".to_owned(),
                "the working directory 'srv' is invalid, it needs to be an absolute path",
            ),
            (|c| c.stop_signal = "FLY".to_owned(), "invalid signal: FLY"),
            (|c| c.env = vec!["=x".to_owned()], "invalid environment variable: =x"),
            (
                |c| c.hostname = "x".repeat(65),
                "hostname \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" is too long \
                 (maximum 64 bytes)",
            ),
            (
                |c| c.healthcheck = Some(HealthConfig { interval: 1, ..HealthConfig::default() }),
                "Interval in Healthcheck cannot be less than 1ms",
            ),
        ];
        for (change, text) in cases {
            let mut changed = ContainerConfig::default();
            change(&mut changed);
            assert_eq!(config(&mut changed).unwrap_err().message(), text);
        }
    }

    #[test]
    fn host_configs_are_refused_in_dockers_words() {
        type Change = fn(&mut HostConfig);
        let cases: [(Change, &str); 10] = [
            (
                |h| (h.auto_remove, h.restart_policy.name) = (true, "always".to_owned()),
                "can't create 'AutoRemove' container with restart policy",
            ),
            (
                |h| h.restart_policy.name = "maybe".to_owned(),
                "invalid restart policy: unknown policy 'maybe'; use one of 'no', 'always', 'on-failure', or \
                 'unless-stopped'",
            ),
            (
                |h| h.restart_policy = RestartPolicy { name: "always".to_owned(), maximum_retry_count: 3 },
                "invalid restart policy: maximum retry count can only be used with 'on-failure'",
            ),
            (
                |h| {
                    h.restart_policy =
                        RestartPolicy { name: "on-failure".to_owned(), maximum_retry_count: -1 }
                },
                "invalid restart policy: maximum retry count cannot be negative",
            ),
            (|h| h.cap_add = vec!["fly".to_owned()], "invalid CapAdd: unknown capability: \"CAP_FLY\""),
            (|h| h.ipc_mode = "public".to_owned(), "invalid IPC mode: public"),
            (|h| h.pid_mode = "container:".to_owned(), "invalid PID mode: container:"),
            (|h| h.shm_size = -1, "SHM size can not be less than 0"),
            (|h| h.oom_score_adj = 2000, "Invalid value 2000, range for oom score adj is [-1000, 1000]"),
            (|h| h.extra_hosts = vec!["db".to_owned()], "bad format for add-host: \"db\""),
        ];
        for (change, text) in cases {
            let mut changed = HostConfig::default();
            change(&mut changed);
            assert_eq!(host_config(&mut changed, Host::here()).unwrap_err().message(), text);
        }
    }

    #[test]
    fn defaults() {
        let mut adapted = HostConfig::default();
        adapted.resources.memory = 64 << 20;
        let defaults = Config::new("/d", "/e", "/x");
        adapt(&mut adapted, &defaults, Host::here());
        assert_eq!(adapted.resources.memory_swap, 128 << 20);
        assert_eq!((adapted.network_mode.as_str(), adapted.ipc_mode.as_str()), ("bridge", "private"));
        assert_eq!((adapted.shm_size, adapted.restart_policy.name.as_str()), (64 << 20, "no"));
        assert_eq!(adapted.log_config.driver, "json-file");
        assert!(adapted.masked_paths.is_some_and(|paths| paths.contains(&"/proc/kcore".to_owned())));
        let mut privileged = HostConfig { privileged: true, ..HostConfig::default() };
        adapt(&mut privileged, &defaults, Host::here());
        assert_eq!(privileged.masked_paths, Some(Vec::new()));
    }
}
