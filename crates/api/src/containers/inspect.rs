//! `GET /containers/{id}/json`.

use std::collections::BTreeMap;

use super::config::ContainerConfig;
use super::host_config::HostConfig;
use super::mounts::MountPoint;
use super::ports::PortMap;
use super::state::ContainerState;
use crate::descriptor::Descriptor;
use crate::networks::EndpointSettings;
use crate::wire::{is_default, null_when_empty, wire};

wire! {
    /// Everything the engine knows of a container.
    pub struct ContainerInspect {
        pub id: String,
        pub created: String,
        pub path: String,
        pub args: Vec<String>,
        pub state: ContainerState,
        /// The image's ID, `sha256:…`.
        pub image: String,
        pub resolv_conf_path: String,
        pub hostname_path: String,
        pub hosts_path: String,
        pub log_path: String,
        /// With a leading slash.
        pub name: String,
        pub restart_count: i64,
        pub driver: String,
        /// The operating system, `linux`.
        pub platform: String,
        pub mount_label: String,
        pub process_label: String,
        pub app_armor_profile: String,
        #[serde(rename = "ExecIDs", serialize_with = "null_when_empty")]
        pub exec_ids: Vec<String>,
        pub host_config: HostConfig,
        #[serde(skip_serializing_if = "is_default")]
        pub graph_driver: Option<GraphDriver>,
        /// Bytes; only when sizes are asked for.
        #[serde(skip_serializing_if = "is_default")]
        pub size_rw: Option<i64>,
        /// Bytes; only when sizes are asked for.
        #[serde(skip_serializing_if = "is_default")]
        pub size_root_fs: Option<i64>,
        pub mounts: Vec<MountPoint>,
        pub config: ContainerConfig,
        pub network_settings: ContainerNetworkSettings,
        #[serde(skip_serializing_if = "is_default")]
        pub image_manifest_descriptor: Option<Descriptor>,
    }

    /// Which driver holds a root filesystem, and its directories.
    pub struct GraphDriver {
        #[serde(serialize_with = "null_when_empty")]
        pub data: BTreeMap<String, String>,
        pub name: String,
    }

    /// A container's network stack.
    pub struct ContainerNetworkSettings {
        /// Only set where the daemon was told its bridge; gone from API 1.52 on.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub bridge: Option<String>,
        #[serde(rename = "SandboxID")]
        pub sandbox_id: String,
        pub sandbox_key: String,
        pub ports: PortMap,
        pub networks: BTreeMap<String, EndpointSettings>,
    }
    custom {
        /// The default bridge's endpoint once more, up to API 1.51.
        #[serde(flatten)]
        pub default_bridge: Option<DefaultNetworkSettings>,
    }

    /// Old fields that repeat the default bridge's endpoint beside the networks.
    pub struct DefaultNetworkSettings {
        pub hairpin_mode: bool,
        #[serde(rename = "LinkLocalIPv6Address")]
        pub link_local_ipv6_address: String,
        #[serde(rename = "LinkLocalIPv6PrefixLen")]
        pub link_local_ipv6_prefix_len: i64,
        #[serde(rename = "SecondaryIPAddresses", serialize_with = "null_when_empty")]
        pub secondary_ip_addresses: Vec<NetworkAddress>,
        #[serde(rename = "SecondaryIPv6Addresses", serialize_with = "null_when_empty")]
        pub secondary_ipv6_addresses: Vec<NetworkAddress>,
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        pub gateway: String,
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        pub mac_address: String,
    }

    /// An address with its prefix length.
    pub struct NetworkAddress {
        pub addr: String,
        pub prefix_len: i64,
    }
}
