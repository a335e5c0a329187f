//! `GET /system/df`: up to API 1.51 as lists, from 1.53 on as sums, in 1.52 as both.

use crate::containers::ContainerSummary;
use crate::images::ImageSummary;
use crate::volumes::Volume;
use crate::wire::{is_default, wire};

wire! {
    /// Where the disk space went. Bytes.
    pub struct DiskUsage {
        #[serde(skip_serializing_if = "is_default")]
        pub layers_size: Option<i64>,
        #[serde(skip_serializing_if = "is_default")]
        pub images: Option<Vec<ImageSummary>>,
        #[serde(skip_serializing_if = "is_default")]
        pub containers: Option<Vec<ContainerSummary>>,
        #[serde(skip_serializing_if = "is_default")]
        pub volumes: Option<Vec<Volume>>,
        #[serde(skip_serializing_if = "is_default")]
        pub build_cache: Option<Vec<BuildCache>>,
        /// Up to API 1.41, always 0.
        #[serde(skip_serializing_if = "is_default")]
        pub builder_size: Option<i64>,
        #[serde(rename = "ImageUsage", skip_serializing_if = "is_default")]
        pub image_usage: Option<Usage<ImageSummary>>,
        #[serde(rename = "ContainerUsage", skip_serializing_if = "is_default")]
        pub container_usage: Option<Usage<ContainerSummary>>,
        #[serde(rename = "VolumeUsage", skip_serializing_if = "is_default")]
        pub volume_usage: Option<Usage<Volume>>,
        #[serde(rename = "BuildCacheUsage", skip_serializing_if = "is_default")]
        pub build_cache_usage: Option<Usage<BuildCache>>,
    }

    /// One record of the build cache.
    pub struct BuildCache {
        #[serde(rename = "ID")]
        pub id: String,
        #[serde(skip_serializing_if = "is_default")]
        pub parents: Vec<String>,
        #[serde(rename = "Type")]
        pub kind: String,
        pub description: String,
        pub in_use: bool,
        pub shared: bool,
        pub size: i64,
        pub created_at: String,
        pub last_used_at: Option<String>,
        pub usage_count: i64,
    }
}

/// What all objects of one kind use; the objects themselves only when asked for.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, rename_all = "PascalCase", bound(deserialize = "T: serde::Deserialize<'de>"))]
pub struct Usage<T> {
    pub active_count: i64,
    pub total_count: i64,
    pub reclaimable: i64,
    pub total_size: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<T>,
}

impl<T> Default for Usage<T> {
    fn default() -> Self {
        Self { active_count: 0, total_count: 0, reclaimable: 0, total_size: 0, items: Vec::new() }
    }
}
