//! Flags of `run` and `create` into a create request. Reads files the flags name, changes nothing.

use std::collections::BTreeMap;

use barge_api::Empty;
use barge_api::containers::{
    ContainerConfig, CreateRequest, DeviceRequest, HealthConfig, HostConfig, LogConfig, Resources,
    RestartPolicy,
};

use super::flags::{ContainerFlags, HealthFlags, LimitFlags, SecurityFlags};
use super::network;
use crate::failure::reason;
use crate::flags::device::{self, Device};
use crate::flags::env_file::{self, BareName};
use crate::flags::port;
use crate::flags::volume::{self, Volume};

/// Builds the request for `image` and the words behind it; `proxies` are variables the user's configuration adds.
pub(super) fn request(
    flags: ContainerFlags,
    image: String,
    command: Vec<String>,
    proxies: BTreeMap<String, String>,
) -> Result<CreateRequest, String> {
    let networks = network::parse(&flags.network)?;
    let (exposed_ports, port_bindings) = port::parse(&flags.network.publish, &flags.network.expose)?;
    let (binds, volumes) = volumes(&flags.volume)?;
    let mut env: Vec<String> = proxies.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    env.extend(env_file::read(&flags.env_file, flags.env.0.clone(), BareName::FromEnvironment)?);
    let config = ContainerConfig {
        exposed_ports,
        env,
        cmd: (!command.is_empty()).then_some(command),
        image,
        volumes,
        mac_address: networks.mac_address,
        ..container_config(&flags)?
    };
    let host_config = HostConfig { binds, network_mode: networks.mode, port_bindings, ..host_config(flags)? };
    Ok(CreateRequest { config, host_config: Some(host_config), networking_config: Some(networks.endpoints) })
}

/// What the flags alone say of the container.
fn container_config(flags: &ContainerFlags) -> Result<ContainerConfig, String> {
    let no_streams = flags.attach.is_empty();
    let attach_stdin = flags.attach.has("stdin") || flags.interactive;
    Ok(ContainerConfig {
        hostname: flags.hostname.clone(),
        domainname: flags.domainname.clone(),
        user: flags.user.clone(),
        attach_stdin,
        attach_stdout: no_streams || flags.attach.has("stdout"),
        attach_stderr: no_streams || flags.attach.has("stderr"),
        tty: flags.tty,
        open_stdin: flags.interactive,
        // The container's input ends with the client that feeds it.
        stdin_once: flags.interactive && attach_stdin,
        healthcheck: health(&flags.health)?,
        working_dir: flags.workdir.clone(),
        entrypoint: flags.entrypoint.clone().map(|word| vec![word]),
        labels: pairs(&env_file::read(&flags.label_file, flags.label.0.clone(), BareName::Keep)?),
        stop_signal: flags.stop_signal.clone(),
        stop_timeout: flags.stop_timeout,
        ..ContainerConfig::default()
    })
}

/// What the flags alone say of the host's part.
fn host_config(flags: ContainerFlags) -> Result<HostConfig, String> {
    let restart_policy = restart_policy(&flags.restart)?;
    if flags.rm && !matches!(restart_policy.name.as_str(), "" | "no") {
        return Err("conflicting options: cannot specify both --restart and --rm".to_owned());
    }
    if flags.log_driver == "none" && !flags.log_opt.is_empty() {
        return Err(format!("invalid logging opts for driver {}", flags.log_driver));
    }
    let namespaces = flags.isolation_flags;
    check_modes(&namespaces)?;
    let (security_opt, masked_paths, readonly_paths) = security(namespaces.security_opt)?;
    let mut resources = limits(&flags.limits)?;
    resources.cgroup_parent = namespaces.cgroup_parent;
    resources.device_cgroup_rules = flags.device_cgroup_rule.0;
    resources.device_requests = flags.gpus.0;
    resources.ulimits = flags.ulimit.into_list();
    devices(&flags.device, &mut resources)?;
    let mut dns_options = flags.network.dns_option;
    dns_options.extend(flags.network.dns_opt);
    Ok(HostConfig {
        container_id_file: flags.cidfile,
        log_config: LogConfig { driver: flags.log_driver, config: pairs(&flags.log_opt) },
        restart_policy,
        auto_remove: flags.rm,
        volume_driver: flags.volume_driver,
        volumes_from: flags.volumes_from,
        annotations: flags.annotation.0,
        cap_add: namespaces.cap_add,
        cap_drop: namespaces.cap_drop,
        cgroupns_mode: namespaces.cgroupns,
        dns: flags.network.dns.0,
        dns_options,
        dns_search: flags.network.dns_search,
        extra_hosts: flags.network.add_host.0,
        group_add: flags.group_add,
        ipc_mode: namespaces.ipc,
        links: flags.network.link.0,
        oom_score_adj: flags.limits.oom_score_adj,
        pid_mode: namespaces.pid,
        privileged: namespaces.privileged,
        publish_all_ports: flags.network.publish_all,
        readonly_rootfs: flags.read_only,
        security_opt,
        storage_opt: storage_options(&flags.storage_opt)?,
        tmpfs: flags.tmpfs.iter().map(|text| split(text, ':')).collect(),
        uts_mode: namespaces.uts,
        userns_mode: namespaces.userns,
        shm_size: flags.shm_size.0,
        sysctls: flags.sysctl.0.0,
        runtime: flags.runtime,
        isolation: flags.isolation,
        mounts: flags.mount.0,
        masked_paths,
        readonly_paths,
        init: flags.init,
        resources,
        ..HostConfig::default()
    })
}

fn split(text: &str, at: char) -> (String, String) {
    let (key, value) = text.split_once(at).unwrap_or((text, ""));
    (key.to_owned(), value.to_owned())
}

fn pairs(texts: &[String]) -> BTreeMap<String, String> {
    texts.iter().map(|text| split(text, '=')).collect()
}

type Volumes = (Vec<String>, BTreeMap<String, Empty>);

fn volumes(texts: &[String]) -> Result<Volumes, String> {
    let (mut binds, mut anonymous) = (Vec::new(), BTreeMap::new());
    for text in texts {
        match volume::parse(text)? {
            Volume::Bind(bind) if binds.contains(&bind) => {}
            Volume::Bind(bind) => binds.push(bind),
            Volume::Anonymous(target) => {
                anonymous.insert(target, Empty);
            }
        }
    }
    Ok((binds, anonymous))
}

fn storage_options(texts: &[String]) -> Result<BTreeMap<String, String>, String> {
    let option = |text: &String| match text.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.to_owned())),
        None => Err("invalid storage option".to_owned()),
    };
    texts.iter().map(option).collect()
}

/// `NAME[:RETRIES]`.
pub(super) fn restart_policy(text: &str) -> Result<RestartPolicy, String> {
    let (name, count) = text.split_once(':').unwrap_or((text, ""));
    if text.contains(':') && name.is_empty() {
        return Err("invalid restart policy format: no policy provided before colon".to_owned());
    }
    let wrong = |_| "invalid restart policy format: maximum retry count must be an integer".to_owned();
    let maximum_retry_count = if count.is_empty() { 0 } else { count.parse().map_err(wrong)? };
    Ok(RestartPolicy { name: name.to_owned(), maximum_retry_count })
}

fn check_modes(modes: &SecurityFlags) -> Result<(), String> {
    let is_container = |mode: &str| mode.strip_prefix("container:").is_some_and(|id| !id.is_empty());
    if !matches!(modes.pid.as_str(), "" | "host") && !is_container(&modes.pid) {
        return Err("--pid: invalid PID mode".to_owned());
    }
    if !matches!(modes.uts.as_str(), "" | "host") {
        return Err("--uts: invalid UTS mode".to_owned());
    }
    if !matches!(modes.userns.as_str(), "" | "host") {
        return Err("--userns: invalid USER mode".to_owned());
    }
    if !matches!(modes.cgroupns.as_str(), "" | "host" | "private") {
        return Err("--cgroupns: invalid CGROUP mode".to_owned());
    }
    Ok(())
}

type Security = (Vec<String>, Option<Vec<String>>, Option<Vec<String>>);

/// Security options: seccomp profiles are sent by content, `systempaths=unconfined` becomes empty path lists.
fn security(texts: Vec<String>) -> Result<Security, String> {
    let mut options = Vec::with_capacity(texts.len());
    let mut unconfined = false;
    for text in texts {
        if text == "systempaths=unconfined" {
            unconfined = true;
            continue;
        }
        let pair =
            text.split_once('=').or_else(|| text.split_once(':').filter(|_| text != "no-new-privileges"));
        match pair {
            Some(("seccomp", profile)) if !matches!(profile, "" | "builtin" | "unconfined") => {
                options.push(format!("seccomp={}", seccomp_profile(profile)?));
            }
            Some((_, value)) if !value.is_empty() => options.push(text),
            _ if text.starts_with("no-new-privileges") => options.push(text),
            _ => return Err(format!("Invalid --security-opt: {text:?}")),
        }
    }
    let paths = unconfined.then(Vec::new);
    Ok((options, paths.clone(), paths))
}

fn seccomp_profile(path: &str) -> Result<String, String> {
    let text = std::fs::read(path).map_err(|error| {
        format!("opening seccomp profile ({path}) failed: open {path}: {}", reason(&error))
    })?;
    let json: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|error| format!("compacting json for seccomp profile ({path}) failed: {error}"))?;
    Ok(json.to_string())
}

fn health(flags: &HealthFlags) -> Result<Option<HealthConfig>, String> {
    let durations = [
        ("interval", flags.interval.0),
        ("timeout", flags.timeout.0),
        ("retries", flags.retries),
        ("start-period", flags.start_period.0),
        ("start-interval", flags.start_interval.0),
    ];
    let is_set = !flags.command.is_empty() || durations.iter().any(|(_, value)| *value != 0);
    if flags.none {
        if is_set {
            return Err("--no-healthcheck conflicts with --health-* options".to_owned());
        }
        return Ok(Some(HealthConfig { test: vec!["NONE".to_owned()], ..HealthConfig::default() }));
    }
    if let Some((name, _)) = durations.iter().find(|(_, value)| *value < 0) {
        return Err(format!("--health-{name} cannot be negative"));
    }
    let test = if flags.command.is_empty() {
        Vec::new()
    } else {
        vec!["CMD-SHELL".to_owned(), flags.command.clone()]
    };
    Ok(is_set.then_some(HealthConfig {
        test,
        interval: flags.interval.0,
        timeout: flags.timeout.0,
        start_period: flags.start_period.0,
        start_interval: flags.start_interval.0,
        retries: flags.retries,
    }))
}

fn devices(texts: &[String], resources: &mut Resources) -> Result<(), String> {
    let mut cdi = Vec::new();
    for text in texts {
        match device::parse(text)? {
            Device::Mapping(mapping) => resources.devices.push(mapping),
            Device::Cdi(name) => cdi.push(name),
        }
    }
    if !cdi.is_empty() {
        let request = DeviceRequest { driver: "cdi".to_owned(), device_ids: cdi, ..DeviceRequest::default() };
        resources.device_requests.push(request);
    }
    Ok(())
}

fn limits(flags: &LimitFlags) -> Result<Resources, String> {
    let swappiness = flags.memory_swappiness;
    if swappiness != -1 && !(0..=100).contains(&swappiness) {
        return Err(format!("invalid value: {swappiness}. Valid memory swappiness range is 0-100"));
    }
    Ok(Resources {
        cpu_shares: flags.cpu_shares,
        memory: flags.memory.0,
        nano_cpus: flags.cpus.0,
        blkio_weight: flags.blkio_weight,
        blkio_weight_device: flags.blkio_weight_device.0.clone(),
        blkio_device_read_bps: flags.device_read_bps.0.clone(),
        blkio_device_write_bps: flags.device_write_bps.0.clone(),
        blkio_device_read_iops: flags.device_read_iops.0.clone(),
        blkio_device_write_iops: flags.device_write_iops.0.clone(),
        cpu_period: flags.cpu_period,
        cpu_quota: flags.cpu_quota,
        cpu_realtime_period: flags.cpu_rt_period,
        cpu_realtime_runtime: flags.cpu_rt_runtime,
        cpuset_cpus: flags.cpuset_cpus.clone(),
        cpuset_mems: flags.cpuset_mems.clone(),
        kernel_memory: flags.kernel_memory.0,
        memory_reservation: flags.memory_reservation.0,
        memory_swap: flags.memory_swap.0,
        memory_swappiness: Some(swappiness),
        oom_kill_disable: Some(flags.oom_kill_disable),
        pids_limit: Some(flags.pids_limit),
        cpu_count: flags.cpu_count,
        cpu_percent: flags.cpu_percent,
        io_maximum_iops: flags.io_maxiops,
        io_maximum_bandwidth: u64::try_from(flags.io_maxbandwidth.0).unwrap_or(0),
        ..Resources::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Order, Parsed, parse as parse_flags};

    fn read(line: &str) -> Result<CreateRequest, String> {
        let args = line.split_whitespace().map(str::to_owned).collect();
        match parse_flags::<ContainerFlags>(args, Order::FlagsFirst).map_err(|error| error.to_string())? {
            Parsed::Flags(flags, mut rest) => {
                let image = rest.remove(0);
                request(flags, image, rest, BTreeMap::new())
            }
            Parsed::Help => Err("help".to_owned()),
        }
    }

    #[test]
    fn the_plain_request_is_what_dockers_command_line_sends() {
        let json = serde_json::to_value(read("busybox true").unwrap()).unwrap();
        let expected: serde_json::Value = serde_json::from_str(include_str!("config/plain.json")).unwrap();
        assert_eq!(json, expected);
    }

    #[test]
    fn flags_reach_their_fields() {
        let line = "-it --rm -e A=1 -v /a:/b:ro -v /anon -p 8080:80 --expose 9000 --memory 64m --cpus 1.5 \
                    --device /dev/fuse --ulimit nofile=1:2 --tmpfs /run:size=1m --entrypoint= --stop-timeout 0 \
                    --security-opt systempaths=unconfined --security-opt no-new-privileges --health-cmd true \
                    --restart no --label a=b --init=false img -x";
        let request = read(line).unwrap();
        let (config, host) = (request.config, request.host_config.unwrap());
        assert!(config.tty && config.open_stdin && config.stdin_once && config.attach_stdin);
        assert_eq!(config.cmd.unwrap(), ["-x"]);
        assert_eq!(config.entrypoint.unwrap(), [""]);
        assert_eq!(config.stop_timeout, Some(0));
        assert_eq!(config.healthcheck.unwrap().test, ["CMD-SHELL", "true"]);
        assert!(config.volumes.contains_key("/anon"));
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["80/tcp", "9000/tcp"]);
        assert_eq!(host.binds, ["/a:/b:ro"]);
        assert_eq!(host.tmpfs["/run"], "size=1m");
        assert_eq!((host.resources.memory, host.resources.nano_cpus), (64 << 20, 1_500_000_000));
        assert_eq!(host.security_opt, ["no-new-privileges"]);
        assert_eq!(host.masked_paths, Some(Vec::new()));
        assert_eq!(host.init, Some(false));
    }

    #[test]
    fn contradictions_are_refused() {
        for line in [
            "--rm --restart always img",
            "--no-healthcheck --health-cmd true img",
            "--pid nonsense img",
            "--memory-swappiness 101 img",
            "--log-driver none --log-opt a=b img",
            "--security-opt seccomp= img",
            "--restart :3 img",
            "--restart on-failure:x img",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
