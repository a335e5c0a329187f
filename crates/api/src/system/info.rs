//! `GET /info`.

use std::collections::BTreeMap;

use crate::wire::{is_default, null_when_empty, wire};

wire! {
    /// What the engine says of itself and its host.
    pub struct Info {
        #[serde(rename = "ID")]
        pub id: String,
        pub containers: i64,
        pub containers_running: i64,
        pub containers_paused: i64,
        pub containers_stopped: i64,
        pub images: i64,
        pub driver: String,
        /// Key and value, in order.
        pub driver_status: Vec<[String; 2]>,
        pub plugins: Plugins,
        pub memory_limit: bool,
        pub swap_limit: bool,
        /// Gone from API 1.52 on.
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_default")]
        pub kernel_memory_tcp: bool,
        pub cpu_cfs_period: bool,
        pub cpu_cfs_quota: bool,
        #[serde(rename = "CPUShares")]
        pub cpu_shares: bool,
        #[serde(rename = "CPUSet")]
        pub cpu_set: bool,
        pub pids_limit: bool,
        #[serde(rename = "IPv4Forwarding")]
        pub ipv4_forwarding: bool,
        /// Always true; gone from API 1.50 on.
        #[serde(skip_serializing_if = "is_default")]
        pub bridge_nf_iptables: Option<bool>,
        /// Always true; gone from API 1.50 on.
        #[serde(rename = "BridgeNfIp6tables", skip_serializing_if = "is_default")]
        pub bridge_nf_ip6tables: Option<bool>,
        pub debug: bool,
        #[serde(rename = "NFd")]
        pub n_fd: i64,
        pub oom_kill_disable: bool,
        #[serde(rename = "NGoroutines")]
        pub n_goroutines: i64,
        pub system_time: String,
        pub logging_driver: String,
        /// `cgroupfs`, `systemd` or `none`.
        pub cgroup_driver: String,
        #[serde(skip_serializing_if = "is_default")]
        pub cgroup_version: String,
        #[serde(rename = "NEventsListener")]
        pub n_events_listener: i64,
        pub kernel_version: String,
        pub operating_system: String,
        #[serde(rename = "OSVersion")]
        pub os_version: String,
        #[serde(rename = "OSType")]
        pub os_type: String,
        pub architecture: String,
        pub index_server_address: String,
        pub registry_config: RegistryConfig,
        #[serde(rename = "NCPU")]
        pub n_cpu: i64,
        /// Bytes.
        pub mem_total: i64,
        #[serde(serialize_with = "null_when_empty")]
        pub generic_resources: Vec<serde_json::Value>,
        pub docker_root_dir: String,
        pub http_proxy: String,
        pub https_proxy: String,
        pub no_proxy: String,
        /// The host's name.
        pub name: String,
        pub labels: Vec<String>,
        pub experimental_build: bool,
        pub server_version: String,
        pub runtimes: BTreeMap<String, Runtime>,
        pub default_runtime: String,
        pub swarm: SwarmInfo,
        pub live_restore_enabled: bool,
        pub isolation: String,
        pub init_binary: String,
        pub containerd_commit: Commit,
        pub runc_commit: Commit,
        pub init_commit: Commit,
        /// `name=NAME,key=value…` each.
        pub security_options: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub product_license: String,
        #[serde(skip_serializing_if = "is_default")]
        pub default_address_pools: Vec<AddressPool>,
        #[serde(skip_serializing_if = "is_default")]
        pub firewall_backend: Option<Firewall>,
        #[serde(rename = "CDISpecDirs")]
        pub cdi_spec_dirs: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub discovered_devices: Vec<DeviceInfo>,
        #[serde(skip_serializing_if = "is_default")]
        pub containerd: Option<Containerd>,
        #[serde(serialize_with = "null_when_empty")]
        pub warnings: Vec<String>,
    }

    /// Drivers by kind.
    pub struct Plugins {
        pub volume: Vec<String>,
        pub network: Vec<String>,
        #[serde(serialize_with = "null_when_empty")]
        pub authorization: Vec<String>,
        pub log: Vec<String>,
    }

    /// Which registries are known, and how they are spoken to.
    pub struct RegistryConfig {
        #[serde(rename = "InsecureRegistryCIDRs")]
        pub insecure_registry_cidrs: Vec<String>,
        pub index_configs: BTreeMap<String, IndexInfo>,
        #[serde(serialize_with = "null_when_empty")]
        pub mirrors: Vec<String>,
    }

    /// One registry.
    pub struct IndexInfo {
        pub name: String,
        pub mirrors: Vec<String>,
        pub secure: bool,
        pub official: bool,
    }

    /// This node's part in a swarm.
    pub struct SwarmInfo {
        #[serde(rename = "NodeID")]
        pub node_id: String,
        pub node_addr: String,
        /// `inactive`, `pending`, `active`, `error` or `locked`.
        pub local_node_state: String,
        pub control_available: bool,
        pub error: String,
        #[serde(serialize_with = "null_when_empty")]
        pub remote_managers: Vec<serde_json::Value>,
        #[serde(skip_serializing_if = "is_default")]
        pub nodes: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub managers: i64,
    }

    /// The commit a part was built from.
    pub struct Commit {
        #[serde(rename = "ID")]
        pub id: String,
        /// Up to API 1.49.
        #[serde(skip_serializing_if = "is_default")]
        pub expected: String,
    }

    /// Where new networks get their subnets from: pieces of `size` bits out of `base`.
    pub struct AddressPool {
        pub base: String,
        pub size: i64,
    }

    /// How packets are filtered, from API 1.49 on.
    pub struct Firewall {
        /// `nftables`, `iptables` or with `+firewalld` behind.
        pub driver: String,
        #[serde(skip_serializing_if = "is_default")]
        pub info: Vec<[String; 2]>,
    }

    /// A device a device driver found, from API 1.50 on.
    pub struct DeviceInfo {
        pub source: String,
        #[serde(rename = "ID")]
        pub id: String,
    }

    /// The containerd beneath, where there is one.
    pub struct Containerd {
        #[serde(skip_serializing_if = "is_default")]
        pub address: String,
        pub namespaces: ContainerdNamespaces,
    }

    /// The containerd namespaces in use.
    pub struct ContainerdNamespaces {
        pub containers: String,
        pub plugins: String,
    }
}

wire! { "camelCase";
    /// An OCI runtime.
    pub struct Runtime {
        #[serde(skip_serializing_if = "is_default")]
        pub path: String,
        #[serde(skip_serializing_if = "is_default")]
        pub runtime_args: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub runtime_type: String,
        #[serde(skip_serializing_if = "is_default")]
        pub options: Option<serde_json::Value>,
        #[serde(skip_serializing_if = "is_default")]
        pub status: BTreeMap<String, String>,
    }
}
