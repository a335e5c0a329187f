//! The merged directives with their types: those the daemon acts on.

use std::collections::BTreeMap;

use barge_api::containers::Ulimit;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::directives::{DIRECTIVES, Standing};
use super::sizes::parse_bytes;
use crate::error::{Error, Result};

/// What flags and file say. `None` and empty are Docker's defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    pub(crate) data_root: Option<String>,
    pub(crate) exec_root: Option<String>,
    pub(crate) pidfile: Option<String>,
    pub(crate) hosts: Vec<String>,
    pub(crate) group: Option<String>,
    pub(crate) debug: bool,
    pub(crate) log_level: Option<String>,
    pub(crate) log_format: Option<String>,
    pub(crate) raw_logs: bool,
    pub(crate) idle_exit: Option<u64>,
    pub(crate) validate: bool,
    pub(crate) tls: bool,
    pub(crate) tlsverify: bool,
    pub(crate) tlscacert: Option<String>,
    pub(crate) tlscert: Option<String>,
    pub(crate) tlskey: Option<String>,
    pub(crate) bip: Option<String>,
    pub(crate) bridge: Option<String>,
    pub(crate) fixed_cidr: Option<String>,
    pub(crate) mtu: Option<u32>,
    pub(crate) icc: Option<bool>,
    pub(crate) iptables: Option<bool>,
    pub(crate) ip: Option<String>,
    pub(crate) ip_masq: Option<bool>,
    pub(crate) default_address_pools: Vec<Pool>,
    pub(crate) dns: Vec<String>,
    pub(crate) dns_opts: Vec<String>,
    pub(crate) dns_search: Vec<String>,
    pub(crate) insecure_registries: Vec<String>,
    pub(crate) registry_mirrors: Vec<String>,
    pub(crate) max_concurrent_downloads: Option<usize>,
    pub(crate) max_concurrent_uploads: Option<usize>,
    pub(crate) log_driver: Option<String>,
    #[serde(deserialize_with = "scalars")]
    pub(crate) log_opts: BTreeMap<String, String>,
    pub(crate) default_ulimits: BTreeMap<String, Ulimit>,
    #[serde(deserialize_with = "bytes")]
    pub(crate) default_shm_size: Option<i64>,
    pub(crate) default_cgroupns_mode: Option<String>,
    pub(crate) default_ipc_mode: Option<String>,
    pub(crate) cgroup_parent: Option<String>,
    pub(crate) init: bool,
    pub(crate) init_path: Option<String>,
    pub(crate) no_new_privileges: bool,
    pub(crate) seccomp_profile: Option<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) storage_driver: Option<String>,
    pub(crate) default_runtime: Option<String>,
    pub(crate) firewall_backend: Option<String>,
    pub(crate) experimental: bool,
}

/// `default-address-pools`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pool {
    pub(crate) base: String,
    pub(crate) size: u8,
}

impl Settings {
    /// Types for the merged object, and a line for every directive that is not acted on.
    pub(crate) fn new(members: Map<String, Value>) -> Result<(Self, Vec<String>)> {
        let ignored = DIRECTIVES
            .iter()
            .filter(|directive| directive.standing == Standing::Ignored)
            .filter(|directive| members.get(directive.name()).is_some_and(asks_for_something))
            .map(|directive| {
                format!("the directive \"{}\" is accepted but has no effect yet", directive.name())
            })
            .collect();
        let settings = serde_json::from_value(Value::Object(members));
        settings
            .map(|settings| (settings, ignored))
            .map_err(|error| Error::Settings { reason: error.to_string() })
    }
}

/// False for what is the same as not setting it.
fn asks_for_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

/// A number of bytes, or a text with a unit.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<i64>, D::Error> {
    match Option::<Value>::deserialize(deserializer)? {
        None => Ok(None),
        Some(Value::Number(number)) => Ok(number.as_i64()),
        Some(Value::String(text)) => parse_bytes(&text)
            .map(Some)
            .ok_or_else(|| serde::de::Error::custom(format!("invalid size: '{text}'"))),
        Some(other) => Err(serde::de::Error::custom(format!("invalid size: {other}"))),
    }
}

/// Log options: people write numbers and booleans without quotes.
fn scalars<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    let members = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    Ok(members.into_iter().map(|(name, value)| (name, text(value))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> Result<(Settings, Vec<String>)> {
        match value {
            Value::Object(members) => Settings::new(members),
            other => panic!("not an object: {other}"),
        }
    }

    #[test]
    fn directives_get_their_types() {
        let (settings, ignored) = settings(json!({
            "default-shm-size": "64M", "log-opts": { "max-file": 3 }, "mtu": 9000,
            "default-address-pools": [{ "base": "10.0.0.0/8", "size": 24 }],
            "ipv6": false, "userns-remap": "default", "live-restore": true,
        }))
        .unwrap();
        assert_eq!(settings.default_shm_size, Some(67_108_864));
        assert_eq!(settings.log_opts["max-file"], "3");
        assert_eq!((settings.mtu, settings.default_address_pools[0].size), (Some(9000), 24));
        assert_eq!(ignored, ["the directive \"userns-remap\" is accepted but has no effect yet"]);
    }

    #[test]
    fn wrong_types_are_refused() {
        for value in [json!({ "debug": "yes" }), json!({ "mtu": -1 }), json!({ "default-shm-size": "x" })] {
            assert!(settings(value.clone()).is_err(), "{value}");
        }
    }
}
