//! Manifests and indexes, OCI's and Docker schema 2's: read from the bytes received, never written back.
//!
//! ```text
//! Index    { manifests: [Descriptor + platform] }         = Docker's manifest list
//! Manifest { config: Descriptor, layers: [Descriptor] }
//! ```
//!
//! Docker's schema 1 is refused by name. The media type of the answer decides what is parsed; the
//! document's own `mediaType` field and its shape must not contradict it, or one document could be
//! shown to be two things.

use crate::{Digest, Error, Platform};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The media types of the field.
pub mod media_type {
    /// OCI manifest.
    pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
    /// OCI index.
    pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
    /// OCI image config.
    pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
    /// OCI layer, plain tar.
    pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
    /// OCI layer, gzip.
    pub const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// OCI layer, zstd.
    pub const OCI_LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker manifest, schema 2.
    pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker manifest list.
    pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker image config.
    pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
    /// Docker layer, plain tar.
    pub const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker layer, gzip.
    pub const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
    /// Docker layer, zstd.
    pub const DOCKER_LAYER_ZSTD: &str = "application/vnd.docker.image.rootfs.diff.tar.zstd";
    /// Docker layer that is not in the registry (Windows base layers).
    pub const DOCKER_LAYER_FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    /// Docker manifest, schema 1: not supported.
    pub const DOCKER_MANIFEST_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
    /// Docker manifest, schema 1, signed: not supported.
    pub const DOCKER_MANIFEST_1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
}

/// The largest manifest or index that is read, as in containerd.
pub const MAX_DOCUMENT: u64 = 8 << 20;
/// The most layers an image may have: what one overlay mount takes.
pub const MAX_LAYERS: usize = 500;
/// The most manifests an index may name.
pub const MAX_MANIFESTS: usize = 4096;

/// Names a blob: its type, digest and size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    #[serde(default)]
    pub media_type: String,
    /// Its name.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// Other places to get it from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// What the image is for (in an index).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Free notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
}

impl Descriptor {
    /// Names `content`.
    pub fn of(media_type: &str, content: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256_of(content), content.len() as u64)
    }

    /// Names the blob `digest` of `size` bytes.
    pub fn new(media_type: &str, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest,
            size,
            urls: Vec::new(),
            platform: None,
            annotations: BTreeMap::new(),
            artifact_type: None,
        }
    }

    /// Whether it names a build attestation, which is nothing to run.
    pub fn is_attestation(&self) -> bool {
        self.annotations.get("vnd.docker.reference.type").is_some_and(|kind| kind == "attestation-manifest")
    }
}

/// One image: a config and its layers, base first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own media type, if it says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// What kind of artifact it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image's config.
    pub config: Descriptor,
    /// The layers, base first.
    pub layers: Vec<Descriptor>,
    /// Free notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// The bytes of an OCI manifest for an image that Barge made itself.
    ///
    /// # Errors
    /// Fails if it cannot be written as JSON.
    pub fn build(config: Descriptor, layers: Vec<Descriptor>) -> Result<Vec<u8>, Error> {
        let manifest = Self {
            schema_version: 2,
            media_type: media_type::OCI_MANIFEST.to_owned(),
            artifact_type: None,
            config,
            layers,
            annotations: BTreeMap::new(),
        };
        serde_json::to_vec(&manifest).map_err(|e| Error::Document { what: "manifest", reason: e.to_string() })
    }

    /// Whether the config is one of a runnable image (an artifact's is not). The last four are what broken
    /// registries and old builders wrote, and what Docker takes for an image, too.
    pub fn is_image(&self) -> bool {
        matches!(
            &*self.config.media_type,
            media_type::OCI_CONFIG
                | media_type::DOCKER_CONFIG
                | "application/octet-stream"
                | "application/json"
                | "text/html"
                | ""
        )
    }
}

/// Several images under one name, one for each platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// Always 2.
    pub schema_version: u32,
    /// The document's own media type, if it says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
    /// The images (and attestations, and other indexes).
    pub manifests: Vec<Descriptor>,
    /// Free notes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Index {
    /// The image that suits `wanted` best. An entry without platform is taken if nothing else is there.
    pub fn select(&self, wanted: &Platform) -> Option<&Descriptor> {
        let candidates = self.manifests.iter().filter(|descriptor| !descriptor.is_attestation());
        let ranked = candidates.filter_map(|descriptor| {
            let rank = match &descriptor.platform {
                Some(platform) => wanted.preference(platform)?,
                None => u32::MAX,
            };
            Some((rank, descriptor))
        });
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, descriptor)| descriptor)
    }
}

/// What a document with a manifest's or index's media type turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time, taken apart at once: a box would only be in the way"
)]
pub enum Parsed {
    /// One image.
    Manifest(Manifest),
    /// Several.
    Index(Index),
}

/// Only what tells a manifest from an index.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shape {
    #[serde(default)]
    media_type: String,
    #[serde(default)]
    config: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    manifests: Option<serde::de::IgnoredAny>,
}

/// Reads a manifest or index that came with `media_type` (empty if it is not known: the document's
/// own word is taken then, else its shape).
///
/// # Errors
/// Fails if the document is too large, of an unsupported type, not valid, or contradicts itself.
pub fn parse(bytes: &[u8], media_type: &str) -> Result<Parsed, Error> {
    bounded("manifest", bytes.len() as u64, MAX_DOCUMENT)?;
    let invalid = |e: serde_json::Error| Error::Document { what: "manifest", reason: e.to_string() };
    let shape: Shape = serde_json::from_slice(bytes).map_err(invalid)?;
    match kind(media_type, &shape)? {
        Kind::Manifest => {
            let manifest: Manifest = serde_json::from_slice(bytes).map_err(invalid)?;
            bounded("number of layers", manifest.layers.len() as u64, MAX_LAYERS as u64)?;
            check_version(manifest.schema_version)?;
            Ok(Parsed::Manifest(manifest))
        }
        Kind::Index => {
            let index: Index = serde_json::from_slice(bytes).map_err(invalid)?;
            bounded("number of manifests", index.manifests.len() as u64, MAX_MANIFESTS as u64)?;
            check_version(index.schema_version)?;
            Ok(Parsed::Index(index))
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifest,
    Index,
}

fn kind(media_type: &str, shape: &Shape) -> Result<Kind, Error> {
    let said = [essence(media_type), &*shape.media_type].into_iter().find(|text| !text.is_empty());
    let from_shape = match (&shape.config, &shape.manifests) {
        (Some(_), None) => Kind::Manifest,
        (None, Some(_)) => Kind::Index,
        _ => return Err(unsupported_or_ambiguous(said)),
    };
    let kind = match said {
        None | Some("application/json" | "text/plain" | "application/octet-stream") => from_shape,
        Some(media_type::OCI_MANIFEST | media_type::DOCKER_MANIFEST) => Kind::Manifest,
        Some(media_type::OCI_INDEX | media_type::DOCKER_LIST) => Kind::Index,
        Some(other) => return Err(Error::MediaType { media_type: other.to_owned() }),
    };
    if kind != from_shape {
        let reason = "the document is not what its media type says".to_owned();
        return Err(Error::Document { what: "manifest", reason });
    }
    Ok(kind)
}

fn unsupported_or_ambiguous(said: Option<&str>) -> Error {
    match said {
        Some(said @ (media_type::DOCKER_MANIFEST_1 | media_type::DOCKER_MANIFEST_1_SIGNED)) => {
            Error::MediaType { media_type: said.to_owned() }
        }
        _ => Error::Document {
            what: "manifest",
            reason: "must have either a config or a list of manifests".to_owned(),
        },
    }
}

/// A media type without its parameters.
fn essence(media_type: &str) -> &str {
    media_type.split(';').next().unwrap_or_default().trim()
}

fn check_version(version: u32) -> Result<(), Error> {
    if version == 2 {
        return Ok(());
    }
    Err(Error::Document { what: "manifest", reason: format!("unsupported schema version {version}") })
}

pub(crate) fn bounded(what: &'static str, size: u64, limit: u64) -> Result<(), Error> {
    if size > limit {
        return Err(Error::TooLarge { what, size, limit });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn digest() -> String {
        Digest::sha256_of(b"").to_string()
    }

    fn manifest() -> serde_json::Value {
        let blob = |kind: &str| json!({"mediaType": kind, "digest": digest(), "size": 3});
        json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": blob(media_type::OCI_CONFIG),
            "layers": [blob(media_type::OCI_LAYER_GZIP)],
        })
    }

    fn index() -> serde_json::Value {
        let entry = |platform: serde_json::Value| json!({"mediaType": media_type::OCI_MANIFEST, "digest": digest(), "size": 3, "platform": platform});
        json!({
            "schemaVersion": 2,
            "manifests": [
                entry(json!({"os": "windows", "architecture": "amd64", "os.version": "10", "os.features": ["win32k"]})),
                entry(json!({"os": "linux", "architecture": "arm64", "variant": "v8"})),
                entry(json!({"os": "linux", "architecture": "amd64"})),
            ],
        })
    }

    #[test]
    fn media_type_and_shape_must_agree() {
        let cases = [
            (manifest(), media_type::OCI_MANIFEST, true),
            (manifest(), "application/vnd.oci.image.manifest.v1+json; charset=utf-8", true),
            (manifest(), "", true),
            (manifest(), "application/json", true),
            (manifest(), media_type::OCI_INDEX, false),
            (manifest(), "application/x-foo", false),
            (index(), media_type::OCI_INDEX, true),
            (index(), media_type::DOCKER_LIST, true),
            (index(), "", true),
            (index(), media_type::DOCKER_MANIFEST, false),
            (json!({"schemaVersion": 2}), "", false),
            (json!([]), media_type::OCI_MANIFEST, false),
        ];
        for (document, media_type, accepted) in cases {
            let bytes = serde_json::to_vec(&document).unwrap();
            assert_eq!(parse(&bytes, media_type).is_ok(), accepted, "{media_type} {document}");
        }
        let mut both = manifest();
        both["manifests"] = json!([]);
        assert!(parse(&serde_json::to_vec(&both).unwrap(), media_type::OCI_MANIFEST).is_err());
    }

    #[test]
    fn hostile_documents_are_refused() {
        let with = |key: &str, value: serde_json::Value| {
            let mut document = manifest();
            document[key] = value;
            serde_json::to_vec(&document).unwrap()
        };
        let layer = manifest()["layers"][0].clone();
        assert!(parse(&with("layers", json!(vec![layer; MAX_LAYERS + 1])), "").is_err());
        assert!(parse(&with("schemaVersion", json!(1)), "").is_err());
        assert!(parse(&with("config", json!({"digest": "sha256:../../x", "size": 1})), "").is_err());
        assert!(parse(&with("config", json!({"digest": digest(), "size": -1})), "").is_err());
        assert!(parse(&vec![b' '; MAX_DOCUMENT as usize + 1], "").is_err());
        let schema1 = br#"{"schemaVersion":1,"fsLayers":[]}"#;
        let error = parse(schema1, media_type::DOCKER_MANIFEST_1_SIGNED).unwrap_err();
        assert!(matches!(error, Error::MediaType { .. }));
    }

    #[test]
    fn an_index_gives_the_best_image_for_a_platform() {
        let Parsed::Index(index) = parse(&serde_json::to_vec(&index()).unwrap(), "").unwrap() else {
            panic!()
        };
        let select = |text: &str| index.select(&text.parse().unwrap()).and_then(|d| d.platform.clone());
        assert_eq!(select("linux/amd64").unwrap().to_string(), "linux/amd64");
        assert_eq!(select("linux/arm64").unwrap().variant, "v8");
        assert_eq!(select("windows/amd64").unwrap().os_features, ["win32k"]);
        assert_eq!(select("linux/s390x"), None);
    }
}
