//! `GET /images/{name}/json`.

use std::collections::BTreeMap;

use super::summary::ImageManifest;
use crate::containers::{GraphDriver, HealthConfig, PortSet};
use crate::descriptor::Descriptor;
use crate::wire::{Empty, is_default, null_when_empty, wire};

wire! {
    /// Everything the engine knows of an image.
    pub struct ImageInspect {
        pub id: String,
        pub repo_tags: Vec<String>,
        pub repo_digests: Vec<String>,
        pub parent: String,
        pub comment: String,
        #[serde(skip_serializing_if = "is_default")]
        pub created: String,
        pub docker_version: String,
        pub author: String,
        #[serde(skip_serializing_if = "is_default")]
        pub config: Option<ImageConfig>,
        pub architecture: String,
        #[serde(skip_serializing_if = "is_default")]
        pub variant: String,
        pub os: String,
        #[serde(skip_serializing_if = "is_default")]
        pub os_version: String,
        /// Bytes.
        pub size: i64,
        /// The same again, up to API 1.43.
        #[serde(skip_serializing_if = "is_default")]
        pub virtual_size: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub graph_driver: Option<GraphDriver>,
        #[serde(rename = "RootFS")]
        pub root_fs: RootFs,
        pub metadata: ImageMetadata,
        #[serde(skip_serializing_if = "is_default")]
        pub descriptor: Option<Descriptor>,
        /// Only when asked for.
        #[serde(skip_serializing_if = "is_default")]
        pub manifests: Vec<ImageManifest>,
    }

    /// The layers of an image, bottom first, by the digests of their uncompressed content.
    pub struct RootFs {
        #[serde(rename = "Type", skip_serializing_if = "is_default")]
        pub kind: String,
        #[serde(skip_serializing_if = "is_default")]
        pub layers: Vec<String>,
    }

    /// What this engine, not the image, remembers.
    pub struct ImageMetadata {
        /// `0001-01-01T00:00:00Z` if it was never tagged here.
        pub last_tag_time: String,
    }

    /// What an image says its containers should do.
    pub struct ImageConfig {
        pub user: String,
        #[serde(skip_serializing_if = "is_default")]
        pub exposed_ports: PortSet,
        #[serde(serialize_with = "null_when_empty")]
        pub env: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub healthcheck: Option<HealthConfig>,
        #[serde(skip_serializing_if = "is_default")]
        pub args_escaped: bool,
        #[serde(serialize_with = "null_when_empty")]
        pub volumes: BTreeMap<String, Empty>,
        pub working_dir: String,
        #[serde(serialize_with = "null_when_empty")]
        pub on_build: Vec<String>,
        #[serde(serialize_with = "null_when_empty")]
        pub labels: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "is_default")]
        pub stop_signal: String,
    }
    custom {
        #[serde(deserialize_with = "crate::wire::string_or_list")]
        pub cmd: Option<Vec<String>>,
        #[serde(deserialize_with = "crate::wire::string_or_list")]
        pub entrypoint: Option<Vec<String>>,
        #[serde(deserialize_with = "crate::wire::string_or_list", skip_serializing_if = "is_default")]
        pub shell: Option<Vec<String>>,
    }
}
