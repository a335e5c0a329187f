//! The image's config: what a container of it starts with, how it came to be, which layers it is made of.
//!
//! OCI's config with Docker's extensions (`Healthcheck`, `OnBuild`, `Shell`, …). Fields that Barge does
//! not know are kept in `other`, for an image that is made from this one.

use crate::manifest::bounded;
use crate::{Digest, Error, Hasher, Platform};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The largest config that is read.
pub const MAX_CONFIG: u64 = 8 << 20;

/// The config of an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When it was made.
    #[serde(default, deserialize_with = "lenient_time", skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Who made it.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// GOARCH.
    #[serde(default, deserialize_with = "null_default")]
    pub architecture: String,
    /// The processor's variant.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub variant: String,
    /// GOOS.
    #[serde(default, deserialize_with = "null_default")]
    pub os: String,
    /// The system's version (Windows only).
    #[serde(
        rename = "os.version",
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub os_version: String,
    /// Features the image needs of the system (Windows only).
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "null_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// What a container starts with.
    #[serde(default, deserialize_with = "null_default")]
    pub config: ContainerDefaults,
    /// The layers.
    #[serde(default, deserialize_with = "null_default")]
    pub rootfs: RootFs,
    /// How it came to be, oldest step first.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<History>,
    /// Note of whoever committed it.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// What else there was (`container`, `container_config`, `docker_version`, …).
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// The layers of an image by the digests of their plain tars, base first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// The digests, base first.
    #[serde(default, deserialize_with = "null_default")]
    pub diff_ids: Vec<Digest>,
}

/// One step of how an image came to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// When.
    #[serde(default, deserialize_with = "lenient_time", skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// The command.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub created_by: String,
    /// Who.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// A note.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub comment: String,
    /// Whether the step made no layer.
    #[serde(default, deserialize_with = "null_default", skip_serializing_if = "std::ops::Not::not")]
    pub empty_layer: bool,
}

/// What a container of the image starts with, unless told otherwise: the `config` object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerDefaults {
    /// `user[:group]`, names or numbers.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// `80/tcp`: the ports it listens on.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Empty>,
    /// `NAME=value`.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// What is run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments, or what is run if there is no entrypoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// The directories whose content outlives a container.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, Empty>,
    /// Where it is run.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub working_dir: String,
    /// Labels.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The signal that asks it to end.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "String::is_empty")]
    pub stop_signal: String,
    /// Seconds to wait for it to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// How to see whether it is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Whether the command line is one string (Windows only).
    #[serde(deserialize_with = "null_default", skip_serializing_if = "std::ops::Not::not")]
    pub args_escaped: bool,
    /// Steps that a build from this image runs first.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub on_build: Vec<String>,
    /// The shell of `RUN`, `CMD` and `ENTRYPOINT` in shell form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// `{}`: Go's way to write a set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Empty {}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self {})
    }
}

/// How to see whether a container is well. Times in nanoseconds; 0 is "as the engine likes".
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`.
    #[serde(deserialize_with = "null_default", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// From one check to the next.
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    /// How long one check may take.
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    /// How long failures don't count at the start.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    /// From one check to the next during the start period.
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    /// How many failures make it unhealthy.
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Go writes a nil list or map as `null`.
fn null_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A time that cannot be read is no reason to refuse an image; Go's zero time means that there is none.
fn lenient_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    Ok(text.filter(|text| !text.starts_with("0001-01-01T00:00:00")).and_then(|text| text.parse().ok()))
}

impl ImageConfig {
    /// Reads a config from the bytes of its blob.
    ///
    /// # Errors
    /// Fails if it is too large, not valid, has no layers list of the only known kind, or too many layers.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        bounded("image config", bytes.len() as u64, MAX_CONFIG)?;
        let invalid = |reason: String| Error::Document { what: "image config", reason };
        let config: Self = serde_json::from_slice(bytes).map_err(|e| invalid(e.to_string()))?;
        if !matches!(&*config.rootfs.kind, "layers" | "") {
            return Err(invalid(format!("unknown rootfs type {:?}", config.rootfs.kind)));
        }
        let layers = config.rootfs.diff_ids.len() as u64;
        bounded("number of layers", layers, crate::manifest::MAX_LAYERS as u64)?;
        Ok(config)
    }

    /// The bytes of the config of an image that Barge made itself.
    ///
    /// # Errors
    /// Fails if it cannot be written as JSON.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|e| Error::Document { what: "image config", reason: e.to_string() })
    }

    /// What the image runs on.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone(),
        }
    }
}

/// The name of each layer *on top of those below it*: the first is its diff id, each further one is
/// the digest of `"<chain id below> <diff id>"` (image-spec, config.md, "Layer ChainID").
pub fn chain_ids(diff_ids: &[Digest]) -> Vec<Digest> {
    let mut chain: Vec<Digest> = Vec::with_capacity(diff_ids.len());
    for diff_id in diff_ids {
        let id = match chain.last() {
            None => *diff_id,
            Some(below) => {
                let mut hasher = Hasher::new();
                hasher.update(format!("{below} {diff_id}").as_bytes());
                hasher.finish()
            }
        };
        chain.push(id);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chain_ids_are_those_of_the_specification() {
        let ids: Vec<Digest> = [b"a", b"b", b"c"].iter().map(|text| Digest::sha256_of(*text)).collect();
        let chain = chain_ids(&ids);
        assert_eq!(chain[0], ids[0]);
        assert_eq!(chain[1], Digest::sha256_of(format!("{} {}", ids[0], ids[1]).as_bytes()));
        assert_eq!(chain[2], Digest::sha256_of(format!("{} {}", chain[1], ids[2]).as_bytes()));
        assert!(chain_ids(&[]).is_empty());
    }

    #[test]
    fn dockers_config_with_its_nulls_and_extensions_is_read() {
        let config = ImageConfig::parse(
            br#"{
            "architecture":"amd64","os":"linux","created":"2024-05-01T12:00:00.123456789Z",
            "docker_version":"20.10","container":"abc",
            "config":{"Hostname":"x","User":"","ExposedPorts":{"80/tcp":{}},"Env":["A=b"],"Cmd":["sh"],
              "Image":"","Volumes":null,"WorkingDir":"","Entrypoint":null,"OnBuild":null,"Labels":null,
              "Healthcheck":{"Test":["CMD","true"],"Interval":1000000000},"StopSignal":"SIGQUIT",
              "Shell":["/bin/bash","-c"],"ArgsEscaped":true},
            "rootfs":{"type":"layers","diff_ids":null},
            "history":[{"created":"0001-01-01T00:00:00Z","created_by":"x","empty_layer":true}]}"#,
        )
        .unwrap();
        assert_eq!(config.config.cmd.as_deref(), Some(&["sh".to_owned()][..]));
        assert_eq!(config.config.entrypoint, None);
        assert!(config.config.exposed_ports.contains_key("80/tcp"));
        assert_eq!(config.config.healthcheck.as_ref().unwrap().interval, 1_000_000_000);
        assert_eq!(config.history[0].created, None);
        assert_eq!(config.other["docker_version"], "20.10");
        assert_eq!(ImageConfig::parse(&config.to_bytes().unwrap()).unwrap(), config);
    }

    #[test]
    fn configs_that_cannot_be_trusted_are_refused() {
        for text in [
            "",
            "[]",
            r#"{"rootfs":{"type":"squash","diff_ids":[]}}"#,
            r#"{"rootfs":{"type":"layers","diff_ids":["../../etc"]}}"#,
            r#"{"config":{"Env":"A=b"}}"#,
        ] {
            assert!(ImageConfig::parse(text.as_bytes()).is_err(), "{text}");
        }
        let many = vec![Digest::sha256_of(b""); crate::manifest::MAX_LAYERS + 1];
        let config = ImageConfig {
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: many },
            ..ImageConfig::default()
        };
        assert!(ImageConfig::parse(&config.to_bytes().unwrap()).is_err());
    }
}
