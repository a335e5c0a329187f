//! `POST /images/{name}/tag`: another name for an image.

use std::sync::Arc;

use barge_api::events::action;
use barge_oci::Reference;

use super::{Images, blocking, publish, refusal};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Images {
    /// Names the image `name` also `repository:tag`; an empty tag is `latest`.
    ///
    /// # Errors
    /// 404 if there is no image of that name, 400 if the new name is none.
    pub async fn tag(&self, engine: &Arc<Engine>, name: &str, repository: &str, tag: &str) -> Result<()> {
        let reference = target(repository, tag)?;
        let image = self.resolve(name).await?;
        let (store, wanted) = (self.store.clone(), reference.clone());
        blocking("naming the image", move || {
            store.images().tag(&image.id, &wanted).map_err(refusal::store)?;
            Ok(())
        })
        .await?;
        publish(engine, action::TAG, &image.id, &reference.familiar());
        Ok(())
    }
}

/// The name that a repository and a tag in separate parameters mean.
pub(super) fn target(repository: &str, tag: &str) -> Result<Reference> {
    let reference = Reference::parse_named(repository).map_err(refusal::invalid_reference)?;
    if reference.digest().is_some() {
        return Err(Error::invalid("refusing to create a tag with a digest reference"));
    }
    match (tag, reference.tag()) {
        ("", Some(_)) => Ok(reference),
        ("", None) => reference.with_tag("latest").map_err(refusal::invalid_reference),
        (tag, _) => reference.with_tag(tag).map_err(refusal::invalid_reference),
    }
}
