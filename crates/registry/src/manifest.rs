//! Manifests from a registry: by tag or digest, verified, and through indexes down to the image for a platform.
//!
//! ```text
//! tag or digest ──> index ──> (index) ──> manifest
//! ```

use barge_oci::manifest::{self, MAX_DOCUMENT, Parsed, media_type};
use barge_oci::{Digest, Index, Manifest, Platform};
use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use reqwest::{Method, Response};

use crate::error::{Error, Result};
use crate::session::Session;
use crate::transport::{self, Ask, Trust};

/// Everything that can be told apart, so that a registry never converts a manifest for us.
const ACCEPTED: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json, \
     application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.5, application/json;q=0.4";
/// Indexes in indexes are legal; more than this is a prank.
const MAX_DEPTH: usize = 4;
const CONTENT_DIGEST: &str = "docker-content-digest";

/// A tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Tag(String),
    Digest(Digest),
}

impl Name {
    fn path(&self) -> String {
        match self {
            Self::Tag(tag) => format!("manifests/{tag}"),
            Self::Digest(digest) => format!("manifests/{digest}"),
        }
    }
}

/// A manifest or index as it came.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) bytes: Bytes,
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) parsed: Parsed,
}

/// An image for a platform, with the indexes that led to it.
pub(crate) struct Resolved {
    /// Outermost first.
    pub(crate) indexes: Vec<Fetched>,
    pub(crate) manifest: Manifest,
    pub(crate) bytes: Bytes,
    pub(crate) digest: Digest,
}

impl Resolved {
    /// What the name that was asked for stands for.
    pub(crate) fn named(&self) -> Digest {
        self.indexes.first().map_or(self.digest, |index| index.digest)
    }
}

/// What a registry says of a manifest without sending it.
pub(crate) struct Head {
    pub(crate) digest: Option<Digest>,
}

/// Asks what `name` stands for at this moment.
pub(crate) async fn head(session: &Session, name: &Name) -> Result<Head> {
    let ask = Ask::new(Method::HEAD, session.url(&name.path())?).header(ACCEPT, ACCEPTED);
    let response = session.send_persistently(ask).await?;
    Ok(Head { digest: content_digest(response.headers()) })
}

/// Fetches the manifest or index that `name` stands for.
pub(crate) async fn fetch(session: &Session, name: &Name, repository: &str) -> Result<Fetched> {
    let mut ask = Ask::get(session.url(&name.path())?).header(ACCEPT, ACCEPTED);
    if matches!(name, Name::Digest(_)) {
        ask.trust = Trust::ByDigest;
    }
    let (media_type, promised, bytes) = crate::retry::persistently(|| document(session, ask.again())).await?;
    let digest = Digest::sha256_of(&bytes);
    let expected = match name {
        Name::Digest(expected) => Some(*expected),
        Name::Tag(_) => promised,
    };
    if let Some(object) = expected.filter(|expected| *expected != digest) {
        return Err(Error::Tampered { object, reason: format!("the manifest's digest is {digest}") });
    }
    let parsed = parse(&bytes, &media_type, repository)?;
    let media_type = normalized(&media_type, &parsed);
    Ok(Fetched { bytes, media_type, digest, parsed })
}

async fn document(session: &Session, ask: Option<Ask>) -> Result<(String, Option<Digest>, Bytes)> {
    let ask = ask.ok_or(Error::Interrupted { doing: "repeating a request" })?;
    let response = session.send(ask).await.map_err(missing)?;
    let media_type = content_type(&response);
    let promised = content_digest(response.headers());
    Ok((media_type, promised, transport::body(response, MAX_DOCUMENT).await?))
}

/// Fetches what `name` stands for and, through indexes, the image for `wanted`.
pub(crate) async fn resolve(
    session: &Session,
    name: Name,
    repository: &str,
    wanted: &Platform,
) -> Result<Resolved> {
    let mut indexes = Vec::new();
    let mut name = name;
    for _ in 0..MAX_DEPTH {
        let fetched = fetch(session, &name, repository).await?;
        match fetched.parsed {
            Parsed::Manifest(manifest) => {
                return Ok(Resolved { indexes, manifest, bytes: fetched.bytes, digest: fetched.digest });
            }
            Parsed::Index(ref index) => {
                name = Name::Digest(choose(index, wanted)?);
                indexes.push(fetched);
            }
        }
    }
    let url = session.url(&name.path())?.to_string();
    Err(Error::Protocol { url, reason: "too many indexes in indexes".to_owned() })
}

fn choose(index: &Index, wanted: &Platform) -> Result<Digest> {
    let chosen = index.select(wanted).ok_or_else(|| Error::NoPlatform { wanted: wanted.clone() })?;
    Ok(chosen.digest)
}

/// A registry without a document for what it does not have says the same.
fn missing(error: Error) -> Error {
    match error {
        Error::UnexpectedStatus { status: 404, retry_after, .. } => Error::Refused {
            status: 404,
            code: "MANIFEST_UNKNOWN".to_owned(),
            message: "manifest unknown".to_owned(),
            retry_after,
        },
        other => other,
    }
}

fn parse(bytes: &[u8], media_type: &str, repository: &str) -> Result<Parsed> {
    let old = [media_type::DOCKER_MANIFEST_1, media_type::DOCKER_MANIFEST_1_SIGNED];
    manifest::parse(bytes, media_type).map_err(|source| match source {
        barge_oci::Error::MediaType { media_type } if old.contains(&media_type.as_str()) => {
            Error::Schema1 { name: repository.to_owned() }
        }
        barge_oci::Error::Document { .. } if is_schema1(bytes) => {
            Error::Schema1 { name: repository.to_owned() }
        }
        barge_oci::Error::MediaType { media_type } => Error::NotAnImage { media_type },
        source => Error::Document { source },
    })
}

/// Old registries send schema 1 with a media type that says nothing.
fn is_schema1(bytes: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Version {
        #[serde(rename = "schemaVersion")]
        schema_version: u32,
    }
    serde_json::from_slice::<Version>(bytes).is_ok_and(|version| version.schema_version == 1)
}

/// The media type to show: the header's, or what the document turned out to be if the header says nothing.
fn normalized(media_type: &str, parsed: &Parsed) -> String {
    let said = match parsed {
        Parsed::Manifest(manifest) => &manifest.media_type,
        Parsed::Index(index) => &index.media_type,
    };
    let known = [
        media_type::OCI_MANIFEST,
        media_type::OCI_INDEX,
        media_type::DOCKER_MANIFEST,
        media_type::DOCKER_LIST,
    ];
    let fallback = match parsed {
        Parsed::Manifest(_) => media_type::OCI_MANIFEST,
        Parsed::Index(_) => media_type::OCI_INDEX,
    };
    let found = [media_type, said.as_str()].into_iter().find(|candidate| known.contains(candidate));
    found.unwrap_or(fallback).to_owned()
}

fn content_type(response: &Response) -> String {
    let value = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.and_then(|value| value.split(';').next()).unwrap_or_default().trim().to_owned()
}

/// `Docker-Content-Digest`, if it is of an algorithm we can check.
fn content_digest(headers: &HeaderMap) -> Option<Digest> {
    headers.get(CONTENT_DIGEST)?.to_str().ok()?.parse().ok()
}

/// A small blob, whole: an image's config.
pub(crate) async fn small_blob(session: &Session, descriptor: &barge_oci::Descriptor) -> Result<Bytes> {
    let object = descriptor.digest;
    if descriptor.size > MAX_DOCUMENT {
        return Err(Error::Tampered { object, reason: format!("{} bytes are too many", descriptor.size) });
    }
    let mut ask = Ask::get(session.url(&format!("blobs/{object}"))?);
    ask.trust = Trust::ByDigest;
    let bytes = crate::retry::persistently(|| blob(session, ask.again(), descriptor)).await?;
    if bytes.len() as u64 != descriptor.size {
        return Err(wrong_size(object, descriptor.size, &bytes.len().to_string()));
    }
    let digest = Digest::sha256_of(&bytes);
    if digest != object {
        return Err(Error::Tampered { object, reason: format!("the content's digest is {digest}") });
    }
    Ok(bytes)
}

async fn blob(session: &Session, ask: Option<Ask>, descriptor: &barge_oci::Descriptor) -> Result<Bytes> {
    let ask = ask.ok_or(Error::Interrupted { doing: "repeating a request" })?;
    let response = session.send(ask).await?;
    let length = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if let Some(length) = length.filter(|length| *length != descriptor.size.to_string()) {
        return Err(wrong_size(descriptor.digest, descriptor.size, length));
    }
    transport::body(response, descriptor.size.max(1)).await
}

pub(crate) fn wrong_size(object: Digest, promised: u64, found: &str) -> Error {
    Error::Tampered {
        object,
        reason: format!("the manifest promises {promised} bytes, the registry has {found}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_1_is_named_as_what_it_is() {
        let document = br#"{"schemaVersion":1,"name":"x","fsLayers":[]}"#;
        for media_type in ["application/json", "", media_type::DOCKER_MANIFEST_1_SIGNED] {
            let error = parse(document, media_type, "docker.io/library/x").unwrap_err();
            assert!(matches!(error, Error::Schema1 { .. }), "{media_type}: {error:?}");
        }
    }

    #[test]
    fn artifacts_are_no_images() {
        let document = br#"{"schemaVersion":2}"#;
        let error = parse(document, "application/x-thing", "x").unwrap_err();
        assert!(matches!(error, Error::NotAnImage { .. } | Error::Document { .. }), "{error:?}");
    }
}
