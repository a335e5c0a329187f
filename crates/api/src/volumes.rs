//! Volumes.

use std::collections::BTreeMap;

use crate::wire::{is_default, null_when_empty, wire};

wire! {
    /// A volume, in a list or inspected.
    pub struct Volume {
        #[serde(skip_serializing_if = "is_default")]
        pub created_at: String,
        pub driver: String,
        #[serde(serialize_with = "null_when_empty")]
        pub labels: BTreeMap<String, String>,
        pub mountpoint: String,
        pub name: String,
        #[serde(serialize_with = "null_when_empty")]
        pub options: BTreeMap<String, String>,
        /// `local` or `global`.
        pub scope: String,
        /// What the driver tells of it.
        #[serde(skip_serializing_if = "is_default")]
        pub status: Option<BTreeMap<String, serde_json::Value>>,
        /// Only in disk usage.
        #[serde(skip_serializing_if = "is_default")]
        pub usage_data: Option<VolumeUsage>,
    }

    /// How much a volume holds and how many containers use it; -1 where it is not known.
    pub struct VolumeUsage {
        pub ref_count: i64,
        /// Bytes.
        pub size: i64,
    }

    /// `GET /volumes`.
    pub struct VolumeList {
        pub volumes: Vec<Volume>,
        #[serde(serialize_with = "null_when_empty")]
        pub warnings: Vec<String>,
    }

    /// `POST /volumes/create`; without a name one is made up.
    pub struct VolumeCreateRequest {
        #[serde(skip_serializing_if = "is_default")]
        pub driver: String,
        #[serde(skip_serializing_if = "is_default")]
        pub driver_opts: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "is_default")]
        pub labels: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
    }

    /// `POST /volumes/prune`.
    pub struct VolumePrune {
        #[serde(serialize_with = "null_when_empty")]
        pub volumes_deleted: Vec<String>,
        /// Bytes.
        pub space_reclaimed: u64,
    }
}
