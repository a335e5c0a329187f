//! What a registry has under a name, without pulling it.

use barge_oci::manifest::Parsed;
use barge_oci::{Descriptor, ImageConfig, Platform, Reference};

use crate::client::Client;
use crate::credentials::Credentials;
use crate::endpoint;
use crate::error::{Error, Result};
use crate::manifest::{self, Fetched, Name};
use crate::session::{Access, Session};

/// The manifest or index a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspected {
    pub descriptor: Descriptor,
    /// Those it serves.
    pub platforms: Vec<Platform>,
}

impl Client {
    /// Asks the registry of `reference` what it has. Mirrors are not asked: the answer should be the truth.
    ///
    /// # Errors
    /// If the registry can't be reached or refuses, or if it answers with what is no manifest.
    pub async fn inspect(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
    ) -> Result<Inspected> {
        let candidate = endpoint::upstream(reference.domain())?;
        let session = Session::open(self, &candidate, reference.path(), Access::Pull, credentials).await?;
        let name = match reference.digest() {
            Some(digest) => Name::Digest(*digest),
            None => Name::Tag(reference.tag().unwrap_or("latest").to_owned()),
        };
        let fetched = manifest::fetch(&session, &name, &reference.name()).await?;
        let platforms = platforms(&session, &fetched).await?;
        let descriptor = Descriptor::new(&fetched.media_type, fetched.digest, fetched.bytes.len() as u64);
        Ok(Inspected { descriptor, platforms })
    }
}

async fn platforms(session: &Session, fetched: &Fetched) -> Result<Vec<Platform>> {
    match &fetched.parsed {
        Parsed::Index(index) => {
            Ok(index.manifests.iter().filter_map(|entry| entry.platform.clone()).collect())
        }
        Parsed::Manifest(manifest) if manifest.is_image() => {
            let bytes = manifest::small_blob(session, &manifest.config).await?;
            let config = ImageConfig::parse(&bytes).map_err(|source| Error::Document { source })?;
            Ok(vec![config.platform()])
        }
        Parsed::Manifest(_) => Ok(Vec::new()),
    }
}
