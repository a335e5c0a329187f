//! What a container's files and its removal look like: changes, path stats, prune.

use serde::{Deserialize, Serialize};

use crate::wire::{null_when_empty, wire};

wire! {
    /// `POST /containers/prune`.
    pub struct ContainerPrune {
        #[serde(serialize_with = "null_when_empty")]
        pub containers_deleted: Vec<String>,
        /// Bytes.
        pub space_reclaimed: u64,
    }

    /// `GET /containers/{id}/changes`: one path that differs from the image.
    pub struct FilesystemChange {
        /// 0 modified, 1 added, 2 deleted.
        pub kind: u8,
        pub path: String,
    }
}

/// The `X-Docker-Container-Path-Stat` header's content, base64 JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PathStat {
    pub name: String,
    pub size: i64,
    /// Go's `os.FileMode`: permission bits, and kinds in the high bits (directory 1<<31, symlink 1<<27).
    pub mode: u32,
    pub mtime: String,
    pub link_target: String,
}
