//! What happens in the engine, told as a stream.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::wire::{is_default, wire};

/// What kind of object an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventType {
    Builder,
    Config,
    #[default]
    Container,
    Daemon,
    Image,
    Network,
    Node,
    Plugin,
    Secret,
    Service,
    Volume,
}

impl EventType {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Builder => "builder",
            Self::Config => "config",
            Self::Container => "container",
            Self::Daemon => "daemon",
            Self::Image => "image",
            Self::Network => "network",
            Self::Node => "node",
            Self::Plugin => "plugin",
            Self::Secret => "secret",
            Self::Service => "service",
            Self::Volume => "volume",
        }
    }
}

/// The words of [`EventMessage::action`]. Exec and health actions carry more after a colon.
pub mod action {
    pub const ARCHIVE_PATH: &str = "archive-path";
    pub const ATTACH: &str = "attach";
    pub const COMMIT: &str = "commit";
    pub const CONNECT: &str = "connect";
    pub const COPY: &str = "copy";
    pub const CREATE: &str = "create";
    pub const DELETE: &str = "delete";
    pub const DESTROY: &str = "destroy";
    pub const DETACH: &str = "detach";
    pub const DIE: &str = "die";
    pub const DISCONNECT: &str = "disconnect";
    /// Followed by `: COMMAND`.
    pub const EXEC_CREATE: &str = "exec_create";
    pub const EXEC_DETACH: &str = "exec_detach";
    pub const EXEC_DIE: &str = "exec_die";
    /// Followed by `: COMMAND`.
    pub const EXEC_START: &str = "exec_start";
    pub const EXPORT: &str = "export";
    pub const EXTRACT_TO_DIR: &str = "extract-to-dir";
    /// Followed by `: STATUS`.
    pub const HEALTH_STATUS: &str = "health_status";
    pub const IMPORT: &str = "import";
    pub const KILL: &str = "kill";
    pub const LOAD: &str = "load";
    pub const MOUNT: &str = "mount";
    pub const OOM: &str = "oom";
    pub const PAUSE: &str = "pause";
    pub const PRUNE: &str = "prune";
    pub const PULL: &str = "pull";
    pub const PUSH: &str = "push";
    pub const RELOAD: &str = "reload";
    pub const REMOVE: &str = "remove";
    pub const RENAME: &str = "rename";
    pub const RESIZE: &str = "resize";
    pub const RESTART: &str = "restart";
    pub const SAVE: &str = "save";
    pub const START: &str = "start";
    pub const STOP: &str = "stop";
    pub const TAG: &str = "tag";
    pub const TOP: &str = "top";
    pub const UNMOUNT: &str = "unmount";
    pub const UNPAUSE: &str = "unpause";
    pub const UNTAG: &str = "untag";
    pub const UPDATE: &str = "update";
}

wire! {
    /// One event.
    pub struct EventMessage {
        /// `Action` again, up to API 1.51, for containers and images.
        #[serde(rename = "status", skip_serializing_if = "is_default")]
        pub status: String,
        /// `Actor.ID` again, up to API 1.51.
        #[serde(rename = "id", skip_serializing_if = "is_default")]
        pub id: String,
        /// The container's image, up to API 1.51.
        #[serde(rename = "from", skip_serializing_if = "is_default")]
        pub from: String,
        #[serde(rename = "Type")]
        pub kind: EventType,
        pub action: String,
        pub actor: EventActor,
        /// `local` or `swarm`.
        #[serde(rename = "scope", skip_serializing_if = "is_default")]
        pub scope: String,
        /// Unix seconds.
        #[serde(rename = "time", skip_serializing_if = "is_default")]
        pub time: i64,
        /// Unix nanoseconds.
        #[serde(rename = "timeNano", skip_serializing_if = "is_default")]
        pub time_nano: i64,
    }

    /// The object an event happened to.
    pub struct EventActor {
        #[serde(rename = "ID")]
        pub id: String,
        /// Name, image, labels and what else belongs to the action.
        pub attributes: BTreeMap<String, String>,
    }
}
