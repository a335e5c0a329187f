//! Mounts asked for (`Mount`) and mounts a container has (`MountPoint`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::{is_default, wire};

/// What kind of thing is mounted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MountType {
    /// Not said; the engine refuses it where one is needed.
    #[default]
    #[serde(rename = "")]
    Unset,
    Bind,
    Volume,
    Tmpfs,
    Image,
    Cluster,
    Npipe,
    /// A kind this version has no word for.
    #[serde(untagged)]
    Other(String),
}

impl MountType {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Unset => "",
            Self::Bind => "bind",
            Self::Volume => "volume",
            Self::Tmpfs => "tmpfs",
            Self::Image => "image",
            Self::Cluster => "cluster",
            Self::Npipe => "npipe",
            Self::Other(word) => word,
        }
    }
}

wire! {
    /// A mount as a client asks for it.
    pub struct Mount {
        #[serde(rename = "Type", skip_serializing_if = "is_default")]
        pub kind: MountType,
        /// A path, a volume's name or an image.
        #[serde(skip_serializing_if = "is_default")]
        pub source: String,
        #[serde(skip_serializing_if = "is_default")]
        pub target: String,
        #[serde(skip_serializing_if = "is_default")]
        pub read_only: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub consistency: String,
        #[serde(skip_serializing_if = "is_default")]
        pub bind_options: Option<BindOptions>,
        #[serde(skip_serializing_if = "is_default")]
        pub volume_options: Option<VolumeOptions>,
        #[serde(skip_serializing_if = "is_default")]
        pub image_options: Option<ImageOptions>,
        #[serde(skip_serializing_if = "is_default")]
        pub tmpfs_options: Option<TmpfsOptions>,
    }

    /// How a path of the host is bound.
    pub struct BindOptions {
        /// `[r]private`, `[r]shared` or `[r]slave`.
        #[serde(skip_serializing_if = "is_default")]
        pub propagation: String,
        #[serde(skip_serializing_if = "is_default")]
        pub non_recursive: bool,
        /// Make the source if it is missing.
        #[serde(skip_serializing_if = "is_default")]
        pub create_mountpoint: bool,
        /// Leave submounts writable.
        #[serde(skip_serializing_if = "is_default")]
        pub read_only_non_recursive: bool,
        /// Fail where submounts cannot be made read-only.
        #[serde(skip_serializing_if = "is_default")]
        pub read_only_force_recursive: bool,
    }

    /// How a volume is mounted, and made if it is missing.
    pub struct VolumeOptions {
        #[serde(skip_serializing_if = "is_default")]
        pub no_copy: bool,
        #[serde(skip_serializing_if = "is_default")]
        pub labels: BTreeMap<String, String>,
        #[serde(skip_serializing_if = "is_default")]
        pub subpath: String,
        #[serde(skip_serializing_if = "is_default")]
        pub driver_config: Option<VolumeDriver>,
    }

    /// A volume driver and what is passed to it.
    pub struct VolumeDriver {
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
        #[serde(skip_serializing_if = "is_default")]
        pub options: BTreeMap<String, String>,
    }

    /// Which part of an image is mounted.
    pub struct ImageOptions {
        #[serde(skip_serializing_if = "is_default")]
        pub subpath: String,
    }

    /// Size, mode and options of a tmpfs.
    pub struct TmpfsOptions {
        #[serde(skip_serializing_if = "is_default")]
        pub size_bytes: i64,
        /// Permission bits.
        #[serde(skip_serializing_if = "is_default")]
        pub mode: u32,
        /// `[flag]` or `[key, value]`.
        #[serde(skip_serializing_if = "is_default")]
        pub options: Vec<Vec<String>>,
    }

    /// A mount as a container has it.
    pub struct MountPoint {
        #[serde(rename = "Type", skip_serializing_if = "is_default")]
        pub kind: MountType,
        /// Volumes only.
        #[serde(skip_serializing_if = "is_default")]
        pub name: String,
        pub source: String,
        pub destination: String,
        /// Volumes only.
        #[serde(skip_serializing_if = "is_default")]
        pub driver: String,
        /// The option text of `-v`, for example `ro,z`.
        pub mode: String,
        #[serde(rename = "RW")]
        pub rw: bool,
        pub propagation: String,
    }
}
