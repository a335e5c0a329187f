//! A container's state and health.

use crate::wire::{is_default, wire};

/// The words of [`ContainerState::status`].
pub mod status {
    pub const CREATED: &str = "created";
    pub const RUNNING: &str = "running";
    pub const PAUSED: &str = "paused";
    pub const RESTARTING: &str = "restarting";
    pub const REMOVING: &str = "removing";
    pub const EXITED: &str = "exited";
    pub const DEAD: &str = "dead";

    /// All of them, in the order error texts list them.
    pub const ALL: [&str; 7] = [CREATED, RUNNING, PAUSED, RESTARTING, REMOVING, EXITED, DEAD];
}

/// The words of [`Health::status`].
pub mod health {
    pub const NONE: &str = "none";
    pub const STARTING: &str = "starting";
    pub const HEALTHY: &str = "healthy";
    pub const UNHEALTHY: &str = "unhealthy";
}

wire! {
    /// Where a container is in its life. The flags repeat the status for old clients.
    pub struct ContainerState {
        /// One of [`status`].
        pub status: String,
        /// Also true while paused and while restarting.
        pub running: bool,
        pub paused: bool,
        pub restarting: bool,
        #[serde(rename = "OOMKilled")]
        pub oom_killed: bool,
        pub dead: bool,
        pub pid: i64,
        pub exit_code: i64,
        pub error: String,
        /// `0001-01-01T00:00:00Z` if it never was.
        pub started_at: String,
        pub finished_at: String,
        #[serde(skip_serializing_if = "is_default")]
        pub health: Option<Health>,
    }

    /// What the health checks found.
    pub struct Health {
        /// One of [`health`].
        pub status: String,
        pub failing_streak: i64,
        /// The last few, oldest first.
        pub log: Vec<HealthcheckResult>,
    }

    /// One health check.
    pub struct HealthcheckResult {
        pub start: String,
        pub end: String,
        /// 0 healthy, 1 unhealthy, anything else could not be run.
        pub exit_code: i64,
        pub output: String,
    }
}
