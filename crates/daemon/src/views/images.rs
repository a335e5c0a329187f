//! Images by API version.

use barge_api::ApiVersion;
use barge_api::containers::ContainerConfig;
use barge_api::images::{ImageInspect, ImageSummary};
use serde::Serialize;

/// Go's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// An inspected image with the fields that only old versions have.
#[derive(Debug, Serialize)]
pub(crate) struct Inspected {
    #[serde(flatten)]
    image: ImageInspect,
    /// Up to 1.44: the container an image was committed from, which this engine doesn't remember.
    #[serde(rename = "Container", skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    #[serde(rename = "ContainerConfig", skip_serializing_if = "Option::is_none")]
    container_config: Option<ContainerConfig>,
}

/// The image as this version has it.
pub(crate) fn inspect(mut image: ImageInspect, version: ApiVersion) -> Inspected {
    image.virtual_size = if version.at_least(44) { 0 } else { image.size };
    if !version.at_least(44) && image.created.is_empty() {
        image.created = NEVER.to_owned();
    }
    if !version.at_least(48) {
        image.descriptor = None;
        image.manifests.clear();
    }
    let old = !version.at_least(45);
    Inspected {
        image,
        container: old.then(String::new),
        container_config: old.then(ContainerConfig::default),
    }
}

/// The list as this version has it.
pub(crate) fn list(mut images: Vec<ImageSummary>, version: ApiVersion) -> Vec<ImageSummary> {
    for image in &mut images {
        image.virtual_size = if version.at_least(44) { 0 } else { image.size };
        if !version.at_least(47) {
            image.manifests.clear();
        }
        if !version.at_least(48) {
            image.descriptor = None;
        }
    }
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_get_the_old_fields() {
        let image = ImageInspect { size: 5, ..ImageInspect::default() };
        let old = serde_json::to_value(inspect(image.clone(), ApiVersion::new(1, 43))).unwrap();
        assert_eq!(
            (&old["VirtualSize"], &old["Container"], &old["Created"]),
            (&5.into(), &"".into(), &NEVER.into())
        );
        assert!(old["ContainerConfig"].is_object());
        let new = serde_json::to_value(inspect(image, ApiVersion::new(1, 45))).unwrap();
        assert!(new.get("VirtualSize").is_none() && new.get("Container").is_none());
    }
}
