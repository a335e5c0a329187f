//! The engine itself: version, information, credentials, disk usage.

mod disk_usage;
mod info;

pub use disk_usage::{BuildCache, DiskUsage, Usage};
pub use info::{
    AddressPool, Commit, Containerd, ContainerdNamespaces, DeviceInfo, Firewall, IndexInfo, Info, Plugins,
    RegistryConfig, Runtime, SwarmInfo,
};

use std::collections::BTreeMap;

use crate::wire::{is_default, wire};

/// Header names of the engine's answers.
pub mod header {
    /// On every response: the newest version the engine speaks.
    pub const API_VERSION: &str = "Api-Version";
    pub const DOCKER_EXPERIMENTAL: &str = "Docker-Experimental";
    pub const OSTYPE: &str = "Ostype";
    /// On `_ping`: `2` if BuildKit is the default builder.
    pub const BUILDER_VERSION: &str = "Builder-Version";
    /// On `_ping`: the node's swarm state.
    pub const SWARM: &str = "Swarm";
    /// On requests: [`super::AuthConfig`] as base64url JSON.
    pub const REGISTRY_AUTH: &str = "X-Registry-Auth";
    /// On build requests: credentials by registry as base64url JSON.
    pub const REGISTRY_CONFIG: &str = "X-Registry-Config";
    /// On archive responses: a path's stat as base64 JSON.
    pub const PATH_STAT: &str = "X-Docker-Container-Path-Stat";
}

wire! {
    /// `GET /version`.
    pub struct Version {
        pub platform: VersionPlatform,
        #[serde(skip_serializing_if = "is_default")]
        pub components: Vec<ComponentVersion>,
        pub version: String,
        pub api_version: String,
        #[serde(rename = "MinAPIVersion", skip_serializing_if = "is_default")]
        pub min_api_version: String,
        pub git_commit: String,
        pub go_version: String,
        pub os: String,
        pub arch: String,
        #[serde(skip_serializing_if = "is_default")]
        pub kernel_version: String,
        #[serde(skip_serializing_if = "is_default")]
        pub experimental: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub build_time: String,
    }

    /// The product's name.
    pub struct VersionPlatform {
        pub name: String,
    }

    /// The version of one part of the engine.
    pub struct ComponentVersion {
        pub name: String,
        pub version: String,
        #[serde(skip_serializing_if = "is_default")]
        pub details: BTreeMap<String, String>,
    }

    /// `POST /auth`: a login that worked.
    pub struct AuthResponse {
        /// Replaces the password if it is not empty.
        pub identity_token: String,
        pub status: String,
    }
}

wire! { "lowercase";
    /// Credentials for a registry: `POST /auth` and the `X-Registry-Auth` header.
    pub struct AuthConfig {
        #[serde(skip_serializing_if = "is_default")]
        pub username: String,
        #[serde(skip_serializing_if = "is_default")]
        pub password: String,
        /// `USER:PASSWORD` in base64, as configuration files have it.
        #[serde(skip_serializing_if = "is_default")]
        pub auth: String,
        #[serde(skip_serializing_if = "is_default")]
        pub email: String,
        #[serde(rename = "serveraddress", skip_serializing_if = "is_default")]
        pub server_address: String,
        /// A refresh token.
        #[serde(rename = "identitytoken", skip_serializing_if = "is_default")]
        pub identity_token: String,
        /// A bearer token, sent as it is.
        #[serde(rename = "registrytoken", skip_serializing_if = "is_default")]
        pub registry_token: String,
    }
}
