//! What the store and registries report, as dockerd words it.

use barge_oci::Reference;
use barge_registry::{Error as RegistryError, Kind as RegistryKind};
use barge_store::Error as StoreError;

use crate::error::{Error, Kind};

/// No image for a name. Docker shows the name completed: `No such image: busybox:latest`.
pub(super) fn unresolved(name: &str, error: StoreError) -> Error {
    match error {
        StoreError::ImageNotFound { .. } => {
            let shown =
                Reference::parse_normalized(name).map_or_else(|_| name.to_owned(), |name| name.familiar());
            let is_id = name.starts_with("sha256:") || shown.is_empty();
            Error::not_found(format!("No such image: {}", if is_id { name } else { &shown }))
        }
        StoreError::ImageAmbiguous { .. } => Error::invalid(error.to_string()),
        StoreError::Oci(error) => Error::invalid(error.to_string()),
        other => Error::system(other.to_string()),
    }
}

/// A name that is none.
pub(super) fn invalid_reference(error: barge_oci::Error) -> Error {
    Error::invalid(error.to_string())
}

/// The store failed at something.
pub(super) fn store(error: StoreError) -> Error {
    match error {
        StoreError::ImageNotFound { .. } => Error::not_found(error.to_string()),
        StoreError::Archive { .. }
        | StoreError::TarHeader { .. }
        | StoreError::LayerEntry { .. }
        | StoreError::Oci(_) => Error::invalid(error.to_string()),
        other => Error::system(other.to_string()),
    }
}

/// A pull of `reference` failed.
pub(super) fn pull(reference: &Reference, error: &RegistryError) -> Error {
    let text = match error.code() {
        Some("DENIED") => format!(
            "pull access denied for {}, repository does not exist or may require 'docker login': {error}",
            reference.familiar_name()
        ),
        Some("MANIFEST_UNKNOWN") => format!("manifest for {} not found: {error}", reference.familiar()),
        Some("NAME_UNKNOWN") => format!("repository {} not found: {error}", reference.familiar_name()),
        _ => return registry(error),
    };
    Error::not_found(text)
}

/// Anything else a registry, or the way to it, failed at.
pub(super) fn registry(error: &RegistryError) -> Error {
    let kind = match error.kind() {
        RegistryKind::NotFound => Kind::NotFound,
        RegistryKind::Denied => Kind::Forbidden,
        RegistryKind::Unauthorized => Kind::Unauthorized,
        RegistryKind::Invalid | RegistryKind::Unsupported => Kind::InvalidParameter,
        RegistryKind::Unreachable
        | RegistryKind::Tampered
        | RegistryKind::TooManyRequests
        | RegistryKind::Local => Kind::System,
    };
    Error::new(kind, error.to_string())
}
