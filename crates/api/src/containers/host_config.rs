//! The half of a container's configuration that is about this host: namespaces, limits, devices, mounts.

use std::collections::BTreeMap;

use super::mounts::Mount;
use super::ports::PortMap;
use crate::wire::{is_default, null_when_empty, wire};

wire! {
    /// How the host runs a container.
    pub struct HostConfig {
        /// `SOURCE:TARGET[:OPTIONS]`, the source a path or a volume's name.
        #[serde(serialize_with = "null_when_empty")]
        pub binds: Vec<String>,
        #[serde(rename = "ContainerIDFile")]
        pub container_id_file: String,
        pub log_config: LogConfig,
        /// `default`, `bridge`, `host`, `none`, `container:ID` or a network's name.
        pub network_mode: String,
        pub port_bindings: PortMap,
        pub restart_policy: RestartPolicy,
        pub auto_remove: bool,
        pub volume_driver: String,
        /// `CONTAINER[:ro|rw]`.
        #[serde(serialize_with = "null_when_empty")]
        pub volumes_from: Vec<String>,
        /// Rows, columns of the terminal at start.
        pub console_size: [u32; 2],
        #[serde(skip_serializing_if = "is_default")]
        pub annotations: BTreeMap<String, String>,
        #[serde(serialize_with = "null_when_empty")]
        pub cap_add: Vec<String>,
        #[serde(serialize_with = "null_when_empty")]
        pub cap_drop: Vec<String>,
        /// ``, `private` or `host`.
        pub cgroupns_mode: String,
        pub dns: Vec<String>,
        pub dns_options: Vec<String>,
        pub dns_search: Vec<String>,
        /// `HOST:IP`, where `IP` may be `host-gateway`.
        #[serde(serialize_with = "null_when_empty")]
        pub extra_hosts: Vec<String>,
        #[serde(serialize_with = "null_when_empty")]
        pub group_add: Vec<String>,
        /// ``, `none`, `private`, `shareable`, `host` or `container:ID`.
        pub ipc_mode: String,
        pub cgroup: String,
        /// `CONTAINER:ALIAS`.
        #[serde(serialize_with = "null_when_empty")]
        pub links: Vec<String>,
        pub oom_score_adj: i64,
        /// ``, `host` or `container:ID`.
        pub pid_mode: String,
        pub privileged: bool,
        pub publish_all_ports: bool,
        pub readonly_rootfs: bool,
        #[serde(serialize_with = "null_when_empty")]
        pub security_opt: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub storage_opt: BTreeMap<String, String>,
        /// Mount options by path.
        #[serde(skip_serializing_if = "is_default")]
        pub tmpfs: BTreeMap<String, String>,
        #[serde(rename = "UTSMode")]
        pub uts_mode: String,
        pub userns_mode: String,
        /// Bytes of `/dev/shm`; 0 takes the default.
        pub shm_size: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub sysctls: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "is_default")]
        pub runtime: String,
        pub isolation: String,
        #[serde(skip_serializing_if = "is_default")]
        pub mounts: Vec<Mount>,
        /// `None` takes the default list; an empty one masks nothing.
        pub masked_paths: Option<Vec<String>>,
        /// `None` takes the default list; an empty one protects nothing.
        pub readonly_paths: Option<Vec<String>>,
        #[serde(skip_serializing_if = "is_default")]
        pub init: Option<bool>,
    }
    custom {
        /// Limits, which `update` can change too.
        #[serde(flatten)]
        pub resources: Resources,
    }

    /// Limits on what a container may use. 0 and empty mean no limit of its own.
    pub struct Resources {
        pub cpu_shares: i64,
        /// Bytes.
        pub memory: i64,
        /// Billionths of a CPU.
        pub nano_cpus: i64,
        pub cgroup_parent: String,
        /// 10 to 1000, 0 off.
        pub blkio_weight: u16,
        pub blkio_weight_device: Vec<WeightDevice>,
        pub blkio_device_read_bps: Vec<ThrottleDevice>,
        pub blkio_device_write_bps: Vec<ThrottleDevice>,
        #[serde(rename = "BlkioDeviceReadIOps")]
        pub blkio_device_read_iops: Vec<ThrottleDevice>,
        #[serde(rename = "BlkioDeviceWriteIOps")]
        pub blkio_device_write_iops: Vec<ThrottleDevice>,
        /// Microseconds.
        pub cpu_period: i64,
        /// Microseconds.
        pub cpu_quota: i64,
        /// Microseconds.
        pub cpu_realtime_period: i64,
        /// Microseconds.
        pub cpu_realtime_runtime: i64,
        pub cpuset_cpus: String,
        pub cpuset_mems: String,
        pub devices: Vec<DeviceMapping>,
        /// `TYPE MAJOR:MINOR ACCESS`.
        #[serde(serialize_with = "null_when_empty")]
        pub device_cgroup_rules: Vec<String>,
        #[serde(serialize_with = "null_when_empty")]
        pub device_requests: Vec<DeviceRequest>,
        #[serde(skip_serializing_if = "is_default")]
        pub kernel_memory: i64,
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_default")]
        pub kernel_memory_tcp: i64,
        /// Bytes, soft limit.
        pub memory_reservation: i64,
        /// Bytes of memory and swap together; -1 unlimited swap.
        pub memory_swap: i64,
        /// 0 to 100; `None` or -1 leaves the host's.
        pub memory_swappiness: Option<i64>,
        pub oom_kill_disable: Option<bool>,
        /// 0 or below is no limit; `None` changes nothing.
        pub pids_limit: Option<i64>,
        pub ulimits: Vec<Ulimit>,
        /// Windows only.
        pub cpu_count: i64,
        /// Windows only.
        pub cpu_percent: i64,
        /// Windows only.
        #[serde(rename = "IOMaximumIOps")]
        pub io_maximum_iops: u64,
        /// Windows only.
        #[serde(rename = "IOMaximumBandwidth")]
        pub io_maximum_bandwidth: u64,
    }

    /// Where a container's output is logged.
    pub struct LogConfig {
        #[serde(rename = "Type")]
        pub driver: String,
        pub config: BTreeMap<String, String>,
    }

    /// What happens when a container's process ends.
    pub struct RestartPolicy {
        /// ``, `no`, `always`, `on-failure` or `unless-stopped`.
        pub name: String,
        /// With `on-failure` only; 0 is without end.
        pub maximum_retry_count: i64,
    }

    /// A block device's share.
    pub struct WeightDevice {
        pub path: String,
        pub weight: u16,
    }

    /// A block device's limit, bytes or operations a second.
    pub struct ThrottleDevice {
        pub path: String,
        pub rate: u64,
    }

    /// A device of the host given to a container.
    pub struct DeviceMapping {
        pub path_on_host: String,
        pub path_in_container: String,
        /// Of `rwm`.
        pub cgroup_permissions: String,
    }

    /// Devices asked for by what they can do, for example GPUs or CDI devices.
    pub struct DeviceRequest {
        pub driver: String,
        /// -1 is all.
        pub count: i64,
        #[serde(rename = "DeviceIDs", serialize_with = "null_when_empty")]
        pub device_ids: Vec<String>,
        /// Any of these sets, all within a set.
        #[serde(serialize_with = "null_when_empty")]
        pub capabilities: Vec<Vec<String>>,
        pub options: BTreeMap<String, String>,
    }

    /// A resource limit of the process, as setrlimit(2) has them.
    pub struct Ulimit {
        pub name: String,
        pub hard: i64,
        pub soft: i64,
    }
}
