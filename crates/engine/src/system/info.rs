//! `GET /info`.

use std::collections::BTreeMap;
use std::path::Path;

use barge_api::system::{
    AddressPool, Commit, Firewall, IndexInfo, Info, Plugins, RegistryConfig, Runtime, SwarmInfo,
};
use jiff::Timestamp;

use super::host::{self, Limits};
use super::version::OWN;
use super::{COMPATIBLE, DRIVER, System};
use crate::clock;
use crate::config::Config;
use crate::engine::Engine;
use crate::error::Result;

/// Docker Hub as the oldest clients know it.
const INDEX: &str = "https://index.docker.io/v1/";

/// Networks whose registries may always be plain http.
const LOOPBACK: [&str; 2] = ["::1/128", "127.0.0.0/8"];

/// The name under which containers ask for the built-in runtime: Docker's default, so that whoever says
/// `--runtime runc` gets what a Docker host would give.
const RUNTIME: &str = "runc";

impl System {
    /// Everything the engine says of itself and its host.
    pub async fn info(&self, engine: &Engine) -> Result<Info> {
        let config = &engine.config;
        let counts = engine.containers.counts();
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let limits = host::limits();
        let system = host::operating_system();
        let mut info = Info {
            id: self.id(&config.data_root)?,
            containers: number(counts.running + counts.paused + counts.stopped),
            containers_running: number(counts.running),
            containers_paused: number(counts.paused),
            containers_stopped: number(counts.stopped),
            images: i64::try_from(engine.images.store().images().list().len()).unwrap_or(i64::MAX),
            driver: DRIVER.to_owned(),
            driver_status: driver_status(&config.data_root),
            debug: config.debug,
            n_fd: host::entries("/proc/self/fd"),
            n_goroutines: host::entries("/proc/self/task"),
            n_events_listener: i64::try_from(engine.events.subscribers()).unwrap_or(i64::MAX),
            system_time: clock::rfc3339(Timestamp::now()),
            kernel_version: host::kernel(),
            operating_system: system.name,
            os_version: system.version,
            n_cpu: host::processors(),
            mem_total: host::memory(),
            name: host::hostname(),
            ipv4_forwarding: host::ipv4_forwarding(),
            warnings: [warnings(&limits), engine.networks.warnings()].concat(),
            ..from_config(config)
        };
        limit_flags(&mut info, limits);
        Ok(info)
    }
}

/// The part that never changes while the engine is open.
fn from_config(config: &Config) -> Info {
    let words = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let environment = |name: &str| {
        let value = std::env::var(name).or_else(|_| std::env::var(name.to_ascii_lowercase()));
        value.unwrap_or_default()
    };
    let commit = |id: &str| Commit { id: id.to_owned(), expected: String::new() };
    Info {
        plugins: Plugins {
            volume: words(&["local"]),
            network: words(&["bridge", "host", "null"]),
            authorization: Vec::new(),
            log: words(&["json-file"]),
        },
        logging_driver: config.log.driver.clone(),
        cgroup_driver: "cgroupfs".to_owned(),
        cgroup_version: if host::cgroup_is_unified() { "2" } else { "1" }.to_owned(),
        os_type: "linux".to_owned(),
        architecture: host::machine().to_owned(),
        index_server_address: INDEX.to_owned(),
        registry_config: registries(config),
        docker_root_dir: config.data_root.display().to_string(),
        http_proxy: environment("HTTP_PROXY"),
        https_proxy: environment("HTTPS_PROXY"),
        no_proxy: environment("NO_PROXY"),
        labels: config.labels.clone(),
        experimental_build: config.experimental,
        server_version: COMPATIBLE.to_owned(),
        runtimes: runtimes(config),
        default_runtime: RUNTIME.to_owned(),
        swarm: SwarmInfo { local_node_state: "inactive".to_owned(), ..SwarmInfo::default() },
        live_restore_enabled: true,
        init_binary: "docker-init".to_owned(),
        runc_commit: commit(OWN),
        init_commit: commit(OWN),
        security_options: security_options(config),
        default_address_pools: config.address_pools.iter().map(pool).collect(),
        firewall_backend: Some(Firewall { driver: "nftables".to_owned(), info: Vec::new() }),
        ..Info::default()
    }
}

fn limit_flags(info: &mut Info, limits: Limits) {
    info.memory_limit = limits.memory;
    info.swap_limit = limits.swap;
    info.oom_kill_disable = limits.oom_kill_disable;
    info.cpu_shares = limits.cpu_shares;
    info.cpu_cfs_period = limits.cpu_quota;
    info.cpu_cfs_quota = limits.cpu_quota;
    info.cpu_set = limits.cpuset;
    info.pids_limit = limits.pids;
}

/// What dockerd warns of when the kernel lacks a limit.
fn warnings(limits: &Limits) -> Vec<String> {
    let lacking = [
        (limits.memory, "WARNING: No memory limit support"),
        (limits.swap, "WARNING: No swap limit support"),
        (limits.cpu_quota, "WARNING: No cpu cfs quota support"),
        (limits.cpu_shares, "WARNING: No cpu shares support"),
        (limits.cpuset, "WARNING: No cpuset support"),
        (limits.pids, "WARNING: No pids limit support"),
    ];
    lacking.iter().filter(|(present, _)| !present).map(|(_, text)| (*text).to_owned()).collect()
}

fn driver_status(data_root: &Path) -> Vec<[String; 2]> {
    let pair = |name: &str, value: &str| [name.to_owned(), value.to_owned()];
    vec![
        pair("Backing Filesystem", &host::filesystem(data_root)),
        pair("Supports d_type", "true"),
        pair("Using metacopy", "false"),
        pair("Native Overlay Diff", "true"),
        pair("userxattr", "false"),
    ]
}

fn registries(config: &Config) -> RegistryConfig {
    let insecure = &config.insecure_registries;
    let (networks, hosts): (Vec<&String>, Vec<&String>) =
        insecure.iter().partition(|entry| entry.contains('/'));
    let hub = IndexInfo {
        name: "docker.io".to_owned(),
        mirrors: config.registry_mirrors.clone(),
        secure: true,
        official: true,
    };
    let index = |host: &String| (host.clone(), IndexInfo { name: host.clone(), ..IndexInfo::default() });
    RegistryConfig {
        insecure_registry_cidrs: LOOPBACK
            .iter()
            .map(|cidr| (*cidr).to_owned())
            .chain(networks.into_iter().cloned())
            .collect(),
        index_configs: std::iter::once(("docker.io".to_owned(), hub))
            .chain(hosts.into_iter().map(index))
            .collect(),
        mirrors: config.registry_mirrors.clone(),
    }
}

fn runtimes(config: &Config) -> BTreeMap<String, Runtime> {
    let runtime = Runtime {
        path: config.exe.display().to_string(),
        runtime_args: vec!["runtime".to_owned()],
        ..Runtime::default()
    };
    BTreeMap::from([(RUNTIME.to_owned(), runtime)])
}

fn security_options(config: &Config) -> Vec<String> {
    let profile = match config.seccomp_profile.as_deref() {
        None => "builtin",
        Some("unconfined") => "unconfined",
        Some(_) => "custom",
    };
    let mut options = vec![format!("name=seccomp,profile={profile}")];
    if host::cgroup_is_unified() {
        options.push("name=cgroupns".to_owned());
    }
    if config.no_new_privileges {
        options.push("name=no-new-privileges".to_owned());
    }
    options
}

fn pool(pool: &crate::config::AddressPool) -> AddressPool {
    AddressPool { base: pool.base.to_string(), size: i64::from(pool.size) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_sorted_by_kind() {
        let config = Config {
            insecure_registries: vec!["10.0.0.0/8".to_owned(), "registry.test:5000".to_owned()],
            ..Config::new("/d", "/r", "/x")
        };
        let registries = registries(&config);
        assert_eq!(registries.insecure_registry_cidrs, ["::1/128", "127.0.0.0/8", "10.0.0.0/8"]);
        assert!(
            !registries.index_configs["registry.test:5000"].secure
                && registries.index_configs["docker.io"].official
        );
    }

    #[test]
    fn missing_limits_are_warned_of() {
        let all = Limits {
            memory: true,
            swap: true,
            oom_kill_disable: true,
            cpu_shares: true,
            cpu_quota: true,
            cpuset: true,
            pids: true,
        };
        assert!(warnings(&all).is_empty());
        assert_eq!(warnings(&Limits { swap: false, ..all }), ["WARNING: No swap limit support"]);
    }
}
