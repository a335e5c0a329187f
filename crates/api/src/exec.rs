//! Further processes in a running container.

use crate::wire::{is_default, null_when_empty, wire};

wire! {
    /// `POST /containers/{id}/exec`.
    pub struct ExecConfig {
        pub user: String,
        pub privileged: bool,
        pub tty: bool,
        /// Rows, columns.
        #[serde(skip_serializing_if = "is_default")]
        pub console_size: Option<[u32; 2]>,
        pub attach_stdin: bool,
        pub attach_stderr: bool,
        pub attach_stdout: bool,
        /// Not used here but sent by clients.
        pub detach: bool,
        pub detach_keys: String,
        #[serde(serialize_with = "null_when_empty")]
        pub env: Vec<String>,
        pub working_dir: String,
    }
    custom {
        #[serde(deserialize_with = "crate::wire::string_or_list")]
        pub cmd: Option<Vec<String>>,
    }

    /// The new exec's ID.
    pub struct ExecCreateResponse {
        pub id: String,
    }

    /// `POST /exec/{id}/start`.
    pub struct ExecStartRequest {
        pub detach: bool,
        pub tty: bool,
        /// Rows, columns.
        #[serde(skip_serializing_if = "is_default")]
        pub console_size: Option<[u32; 2]>,
    }

    /// `GET /exec/{id}/json`.
    pub struct ExecInspect {
        #[serde(rename = "ID")]
        pub id: String,
        pub running: bool,
        /// `None` until it ended.
        pub exit_code: Option<i64>,
        pub process_config: ProcessConfig,
        pub open_stdin: bool,
        pub open_stderr: bool,
        pub open_stdout: bool,
        pub can_remove: bool,
        #[serde(rename = "ContainerID")]
        pub container_id: String,
        pub detach_keys: String,
        pub pid: i64,
    }
}

wire! { "lowercase";
    /// The command of an exec.
    pub struct ProcessConfig {
        pub tty: bool,
        pub entrypoint: String,
        pub arguments: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub privileged: Option<bool>,
        #[serde(skip_serializing_if = "is_default")]
        pub user: String,
    }
}
