//! Containers: what is asked for, what is answered.

mod config;
mod create;
mod host_config;
mod inspect;
mod mounts;
mod ports;
mod prune;
mod state;
mod stats;
mod summary;
mod top;
mod update;
mod wait;

pub use config::{ContainerConfig, HealthConfig};
pub use create::{CreateRequest, CreateResponse, NetworkingConfig};
pub use host_config::{
    DeviceMapping, DeviceRequest, HostConfig, LogConfig, Resources, RestartPolicy, ThrottleDevice, Ulimit,
    WeightDevice,
};
pub use inspect::{
    ContainerInspect, ContainerNetworkSettings, DefaultNetworkSettings, GraphDriver, NetworkAddress,
};
pub use mounts::{
    BindOptions, ImageOptions, Mount, MountPoint, MountType, TmpfsOptions, VolumeDriver, VolumeOptions,
};
pub use ports::{PortBinding, PortMap, PortRange, PortSet, PortSummary};
pub use prune::{ContainerPrune, FilesystemChange, PathStat};
pub use state::{ContainerState, Health, HealthcheckResult, health, status};
pub use stats::{
    BlkioEntry, BlkioStats, ContainerStats, CpuStats, CpuUsage, MemoryStats, NetworkStats, PidsStats,
    StorageStats, ThrottlingData,
};
pub use summary::{ContainerSummary, HealthSummary, SummaryHostConfig, SummaryNetworkSettings};
pub use top::TopResponse;
pub use update::{UpdateRequest, UpdateResponse};
pub use wait::{WaitCondition, WaitError, WaitResponse};
