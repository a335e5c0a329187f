//! Images: lists, inspection, history, removal, and what streams tell beside their progress.

mod inspect;
mod summary;

pub use inspect::{ImageConfig, ImageInspect, ImageMetadata, RootFs};
pub use summary::{ImageManifest, ImageManifestSize, ImageProperties, ImagePropertiesSize, ImageSummary};

use crate::wire::{is_default, null_when_empty, wire};

wire! {
    /// `GET /images/{name}/history`: one step, newest first.
    pub struct HistoryItem {
        pub comment: String,
        /// Unix seconds.
        pub created: i64,
        pub created_by: String,
        /// `<missing>` where the step made no image of its own.
        pub id: String,
        /// Bytes this step added.
        pub size: i64,
        #[serde(serialize_with = "null_when_empty")]
        pub tags: Vec<String>,
    }

    /// `DELETE /images/{name}`: one thing removed, a name or an image.
    pub struct ImageDelete {
        #[serde(skip_serializing_if = "is_default")]
        pub untagged: String,
        #[serde(skip_serializing_if = "is_default")]
        pub deleted: String,
    }

    /// `POST /images/prune`.
    pub struct ImagePrune {
        #[serde(serialize_with = "null_when_empty")]
        pub images_deleted: Vec<ImageDelete>,
        /// Bytes.
        pub space_reclaimed: u64,
    }

    /// `aux` of the last line of a push.
    pub struct PushResult {
        pub tag: String,
        pub digest: String,
        /// Of the manifest, bytes.
        pub size: i64,
    }
}

wire! { "snake_case";
    /// `GET /images/search`: one repository found.
    pub struct SearchResult {
        pub star_count: i64,
        pub is_official: bool,
        pub name: String,
        pub is_automated: bool,
        pub description: String,
    }
}
