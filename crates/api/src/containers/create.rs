//! `POST /containers/create`.

use std::collections::BTreeMap;

use super::config::ContainerConfig;
use super::host_config::HostConfig;
use crate::networks::EndpointSettings;
use crate::wire::{is_default, wire};

wire! {
    /// A container to make: its configuration, with the host's and the networks' part beside it in one object.
    pub struct CreateRequest {
        #[serde(skip_serializing_if = "is_default")]
        pub host_config: Option<HostConfig>,
        #[serde(skip_serializing_if = "is_default")]
        pub networking_config: Option<NetworkingConfig>,
    }
    custom {
        #[serde(flatten)]
        pub config: ContainerConfig,
    }

    /// The networks a container joins, by name or ID. Up to API 1.43 at most one.
    pub struct NetworkingConfig {
        pub endpoints_config: BTreeMap<String, Option<EndpointSettings>>,
    }

    /// The new container's ID and what the engine silently changed.
    pub struct CreateResponse {
        pub id: String,
        pub warnings: Vec<String>,
    }
}
