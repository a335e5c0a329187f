//! `GET /containers/json`.

use std::collections::BTreeMap;

use super::mounts::MountPoint;
use super::ports::PortSummary;
use crate::descriptor::Descriptor;
use crate::networks::EndpointSettings;
use crate::wire::{is_default, wire};

wire! {
    /// A container in a list.
    pub struct ContainerSummary {
        pub id: String,
        /// Each with a leading slash.
        pub names: Vec<String>,
        pub image: String,
        #[serde(rename = "ImageID")]
        pub image_id: String,
        #[serde(skip_serializing_if = "is_default")]
        pub image_manifest_descriptor: Option<Descriptor>,
        pub command: String,
        /// Unix seconds.
        pub created: i64,
        pub ports: Vec<PortSummary>,
        #[serde(skip_serializing_if = "is_default")]
        pub size_rw: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub size_root_fs: i64,
        pub labels: BTreeMap<String, String>,
        pub state: String,
        /// For people, for example `Up 2 hours (healthy)`.
        pub status: String,
        pub host_config: SummaryHostConfig,
        /// From API 1.52 on.
        #[serde(skip_serializing_if = "is_default")]
        pub health: Option<HealthSummary>,
        pub network_settings: SummaryNetworkSettings,
        pub mounts: Vec<MountPoint>,
    }

    /// The part of the host configuration a list shows.
    pub struct SummaryHostConfig {
        #[serde(skip_serializing_if = "is_default")]
        pub network_mode: String,
        #[serde(skip_serializing_if = "is_default")]
        pub annotations: BTreeMap<String, String>,
    }

    /// The health a list shows.
    pub struct HealthSummary {
        pub status: String,
        pub failing_streak: i64,
    }

    /// The networks a list shows.
    pub struct SummaryNetworkSettings {
        pub networks: BTreeMap<String, EndpointSettings>,
    }
}
