//! `GET /containers/{id}/stats`: what a container uses. The field names keep Go's mixed spelling.

use std::collections::BTreeMap;

use crate::wire::{is_default, null_when_empty, wire};

wire! { "snake_case";
    /// One sample and the one before.
    pub struct ContainerStats {
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
        #[serde(skip_serializing_if = "is_default")]
        pub id: String,
        pub read: String,
        pub preread: String,
        pub pids_stats: PidsStats,
        pub blkio_stats: BlkioStats,
        pub num_procs: u32,
        pub storage_stats: StorageStats,
        pub cpu_stats: CpuStats,
        pub precpu_stats: CpuStats,
        pub memory_stats: MemoryStats,
        #[serde(skip_serializing_if = "is_default")]
        pub networks: BTreeMap<String, NetworkStats>,
    }

    /// Processes and threads.
    pub struct PidsStats {
        #[serde(skip_serializing_if = "is_default")]
        pub current: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub limit: u64,
    }

    /// Block I/O; cgroup v2 fills the first list only.
    pub struct BlkioStats {
        #[serde(serialize_with = "null_when_empty")]
        pub io_service_bytes_recursive: Vec<BlkioEntry>,
        #[serde(serialize_with = "null_when_empty")]
        pub io_serviced_recursive: Vec<BlkioEntry>,
        #[serde(serialize_with = "null_when_empty")]
        pub io_queue_recursive: Vec<BlkioEntry>,
        #[serde(serialize_with = "null_when_empty")]
        pub io_service_time_recursive: Vec<BlkioEntry>,
        #[serde(serialize_with = "null_when_empty")]
        pub io_wait_time_recursive: Vec<BlkioEntry>,
        #[serde(serialize_with = "null_when_empty")]
        pub io_merged_recursive: Vec<BlkioEntry>,
        #[serde(serialize_with = "null_when_empty")]
        pub io_time_recursive: Vec<BlkioEntry>,
        #[serde(serialize_with = "null_when_empty")]
        pub sectors_recursive: Vec<BlkioEntry>,
    }

    /// One counter of one device.
    pub struct BlkioEntry {
        pub major: u64,
        pub minor: u64,
        pub op: String,
        pub value: u64,
    }

    /// Windows only.
    pub struct StorageStats {
        #[serde(skip_serializing_if = "is_default")]
        pub read_count_normalized: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub read_size_bytes: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub write_count_normalized: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub write_size_bytes: u64,
    }

    /// CPU time, nanoseconds.
    pub struct CpuStats {
        pub cpu_usage: CpuUsage,
        /// The whole host's.
        #[serde(rename = "system_cpu_usage", skip_serializing_if = "is_default")]
        pub system_usage: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub online_cpus: u32,
        pub throttling_data: ThrottlingData,
    }

    /// CPU time of the container, nanoseconds.
    pub struct CpuUsage {
        pub total_usage: u64,
        /// cgroup v1 only.
        #[serde(skip_serializing_if = "is_default")]
        pub percpu_usage: Vec<u64>,
        pub usage_in_kernelmode: u64,
        pub usage_in_usermode: u64,
    }

    /// How often a CPU quota bit.
    pub struct ThrottlingData {
        pub periods: u64,
        pub throttled_periods: u64,
        /// Nanoseconds.
        pub throttled_time: u64,
    }

    /// Memory, bytes.
    pub struct MemoryStats {
        #[serde(skip_serializing_if = "is_default")]
        pub usage: u64,
        /// cgroup v1 only.
        #[serde(skip_serializing_if = "is_default")]
        pub max_usage: u64,
        /// `memory.stat` as it is.
        #[serde(skip_serializing_if = "is_default")]
        pub stats: BTreeMap<String, u64>,
        /// cgroup v1 only.
        #[serde(skip_serializing_if = "is_default")]
        pub failcnt: u64,
        #[serde(skip_serializing_if = "is_default")]
        pub limit: u64,
    }

    /// Counters of one interface.
    pub struct NetworkStats {
        pub rx_bytes: u64,
        pub rx_packets: u64,
        pub rx_errors: u64,
        pub rx_dropped: u64,
        pub tx_bytes: u64,
        pub tx_packets: u64,
        pub tx_errors: u64,
        pub tx_dropped: u64,
    }
}
