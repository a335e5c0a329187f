//! `GET /distribution/{name}/json`: what a registry has under a name.

use barge_api::descriptor::{Descriptor, Platform};
use barge_api::distribution::DistributionInspect;
use barge_api::system::AuthConfig;
use barge_oci::Reference;

use super::{Images, auth, refusal};
use crate::error::Result;

impl Images {
    /// Asks the registry.
    ///
    /// # Errors
    /// If the name is none, the registry can't be reached or refuses.
    pub async fn distribution(&self, name: &str, auth: AuthConfig) -> Result<DistributionInspect> {
        let reference = Reference::parse_normalized(name).map_err(refusal::invalid_reference)?;
        let credentials = auth::credentials(auth);
        let inspected = self.registry.inspect(&reference, credentials.as_ref()).await;
        let inspected = inspected.map_err(|error| refusal::pull(&reference, &error))?;
        let descriptor = Descriptor {
            media_type: inspected.descriptor.media_type,
            digest: inspected.descriptor.digest.to_string(),
            size: i64::try_from(inspected.descriptor.size).unwrap_or(i64::MAX),
            ..Descriptor::default()
        };
        let platforms = inspected.platforms.into_iter().map(platform).collect();
        Ok(DistributionInspect { descriptor, platforms })
    }
}

/// The API's form.
pub(super) fn platform(platform: barge_oci::Platform) -> Platform {
    Platform {
        architecture: platform.architecture,
        os: platform.os,
        os_version: platform.os_version,
        os_features: platform.os_features,
        variant: platform.variant,
    }
}
