//! The portable half of a container's configuration: what the image may say too.

use std::collections::BTreeMap;

use super::ports::PortSet;
use crate::wire::{Empty, is_default, null_when_empty, wire};

wire! {
    /// What runs in a container, apart from how the host is to run it.
    pub struct ContainerConfig {
        pub hostname: String,
        pub domainname: String,
        /// `user[:group]`, each a name or a number.
        pub user: String,
        pub attach_stdin: bool,
        pub attach_stdout: bool,
        pub attach_stderr: bool,
        /// Keys are `PORT/PROTO`.
        #[serde(skip_serializing_if = "is_default")]
        pub exposed_ports: PortSet,
        pub tty: bool,
        /// Keep standard input open though nobody is attached.
        pub open_stdin: bool,
        /// Close standard input when the first attached client leaves.
        pub stdin_once: bool,
        /// `NAME=VALUE`; `NAME` alone removes what the image set.
        #[serde(serialize_with = "null_when_empty")]
        pub env: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub healthcheck: Option<HealthConfig>,
        /// Windows only: the command is already escaped.
        #[serde(skip_serializing_if = "is_default")]
        pub args_escaped: bool,
        /// The image as the user named it.
        pub image: String,
        /// Anonymous volumes, by path in the container.
        #[serde(serialize_with = "null_when_empty")]
        pub volumes: BTreeMap<String, Empty>,
        pub working_dir: String,
        #[serde(skip_serializing_if = "is_default")]
        pub network_disabled: bool,
        /// Up to API 1.43; later versions say it per endpoint.
        #[serde(skip_serializing_if = "is_default")]
        pub mac_address: String,
        #[serde(serialize_with = "null_when_empty")]
        pub on_build: Vec<String>,
        pub labels: BTreeMap<String, String>,
        /// Name or number.
        #[serde(skip_serializing_if = "is_default")]
        pub stop_signal: String,
        /// Seconds before the kill; -1 waits for ever.
        #[serde(skip_serializing_if = "is_default")]
        pub stop_timeout: Option<i64>,
    }
    custom {
        /// `None` takes the image's.
        #[serde(deserialize_with = "crate::wire::string_or_list")]
        pub cmd: Option<Vec<String>>,
        /// `None` takes the image's; an empty list, or one empty word, runs `cmd` alone.
        #[serde(deserialize_with = "crate::wire::string_or_list")]
        pub entrypoint: Option<Vec<String>>,
        /// What shell-form instructions run in.
        #[serde(deserialize_with = "crate::wire::string_or_list", skip_serializing_if = "is_default")]
        pub shell: Option<Vec<String>>,
    }

    /// How the engine finds out whether a container is well. Durations in nanoseconds, 0 takes the default.
    pub struct HealthConfig {
        /// `[]` inherits, `["NONE"]` disables, `["CMD", …]` execs, `["CMD-SHELL", line]` runs a shell.
        #[serde(skip_serializing_if = "is_default")]
        pub test: Vec<String>,
        #[serde(skip_serializing_if = "is_default")]
        pub interval: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub timeout: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub start_period: i64,
        #[serde(skip_serializing_if = "is_default")]
        pub start_interval: i64,
        /// Failures in a row that make it unhealthy.
        #[serde(skip_serializing_if = "is_default")]
        pub retries: i64,
    }
}
