//! OCI descriptor and platform as the API embeds them. The `oci` crate has the checked forms; these only carry text.

use std::collections::BTreeMap;

use crate::wire::{is_default, wire};

wire! { "camelCase";
    /// What a digest points to.
    pub struct Descriptor {
        pub media_type: String,
        pub digest: String,
        pub size: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub urls: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub annotations: BTreeMap<String, String>,
        /// The content itself, base64.
        #[serde(skip_serializing_if = "is_default")]
        pub data: Option<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub platform: Option<Platform>,
        #[serde(skip_serializing_if = "is_default")]
        pub artifact_type: String,
    }

    /// What an image runs on.
    pub struct Platform {
        pub architecture: String,
        pub os: String,
        #[serde(rename = "os.version", skip_serializing_if = "is_default")]
        pub os_version: String,
        #[serde(rename = "os.features", skip_serializing_if = "is_default")]
        pub os_features: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub variant: String,
    }
}
