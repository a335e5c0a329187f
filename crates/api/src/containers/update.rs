//! `POST /containers/{id}/update`.

use super::host_config::{Resources, RestartPolicy};
use crate::wire::{null_when_empty, wire};

wire! {
    /// New limits for a container, running or not; zero values change nothing.
    pub struct UpdateRequest {
        pub restart_policy: RestartPolicy,
    }
    custom {
        #[serde(flatten)]
        pub resources: Resources,
    }

    /// What the engine could not apply.
    pub struct UpdateResponse {
        #[serde(serialize_with = "null_when_empty")]
        pub warnings: Vec<String>,
    }
}
