//! `GET /images/json`.

use std::collections::BTreeMap;

use crate::descriptor::{Descriptor, Platform};
use crate::wire::{is_default, null_when_empty, wire};

wire! {
    /// An image in a list.
    pub struct ImageSummary {
        /// How many containers use it; -1 not counted.
        pub containers: i64,
        /// Unix seconds.
        pub created: i64,
        pub id: String,
        #[serde(serialize_with = "null_when_empty")]
        pub labels: BTreeMap<String, String>,
        pub parent_id: String,
        #[serde(skip_serializing_if = "is_default")]
        pub descriptor: Option<Descriptor>,
        #[serde(skip_serializing_if = "is_default")]
        pub manifests: Vec<ImageManifest>,
        pub repo_digests: Vec<String>,
        pub repo_tags: Vec<String>,
        /// Bytes shared with other images; -1 not counted.
        pub shared_size: i64,
        /// Bytes.
        pub size: i64,
        /// The same again, up to API 1.43.
        #[serde(skip_serializing_if = "is_default")]
        pub virtual_size: i64,
    }

    /// One manifest under an index.
    pub struct ImageManifest {
        #[serde(rename = "ID")]
        pub id: String,
        pub descriptor: Descriptor,
        /// All its content is here.
        pub available: bool,
        pub size: ImageManifestSize,
        /// `image`, `attestation` or `unknown`.
        pub kind: String,
        #[serde(skip_serializing_if = "is_default")]
        pub image_data: Option<ImageProperties>,
    }

    /// Bytes of a manifest's content, and with what it was unpacked to.
    pub struct ImageManifestSize {
        pub content: i64,
        pub total: i64,
    }

    /// What a manifest of kind `image` says.
    pub struct ImageProperties {
        pub platform: Platform,
        pub size: ImagePropertiesSize,
        pub containers: Vec<String>,
    }

    /// Bytes unpacked.
    pub struct ImagePropertiesSize {
        pub unpacked: i64,
    }
}
