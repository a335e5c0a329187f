//! `DELETE /images/{name}`: names first, then the image, by Docker's rules.
//!
//! ```text
//! by name:  the name goes; with the last tag of a repository its digests go; names left ──> done
//! by ID:    all names go if they are one tag (and its digests); else a conflict, unless forced
//! then:     no name, no container, no child ──> the image goes, and parents without a name after it
//! ```
//!
//! Hard conflicts (a running container, a child) hold against force, soft ones (several names, a stopped container)
//! do not.

use std::sync::Arc;

use barge_api::events::{EventType, action};
use barge_api::images::ImageDelete;
use barge_oci::Reference;
use barge_store::{Image, ImageId};

use super::{Images, RemoveOptions, attributes, blocking, publish, refusal};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Images {
    /// Removes a name or an image; tells what went, in order.
    ///
    /// # Errors
    /// 404 if there is no image of that name, 409 with Docker's words if it is needed.
    pub async fn remove(
        &self,
        engine: &Arc<Engine>,
        name: &str,
        options: RemoveOptions,
    ) -> Result<Vec<ImageDelete>> {
        let image = self.store.images().resolve(name).map_err(|error| refusal::unresolved(name, error))?;
        let mut removal = Removal { engine, images: self, options, records: Vec::new() };
        let goes_on = if is_id(&image, name) {
            removal.names_of_id(&image).await?;
            true
        } else {
            removal.name(&image, name).await?
        };
        if goes_on {
            removal.image(image.id).await?;
        }
        Ok(removal.records)
    }
}

/// Whether the user named the image by (the start of) its ID.
fn is_id(image: &Image, name: &str) -> bool {
    let bare = name.strip_prefix("sha256:").unwrap_or(name);
    let named = image.tags.iter().any(|tag| tag.familiar() == name || tag.familiar_name() == name);
    !bare.is_empty() && !named && image.id.0.hex().starts_with(bare)
}

struct Removal<'a> {
    engine: &'a Arc<Engine>,
    images: &'a Images,
    options: RemoveOptions,
    records: Vec<ImageDelete>,
}

impl Removal<'_> {
    /// Takes a name away. True if none is left, so that the image goes, too.
    async fn name(&mut self, image: &Image, name: &str) -> Result<bool> {
        let parsed = Reference::parse_normalized(name).map_err(refusal::invalid_reference)?;
        // Beside a digest a tag means nothing.
        let parsed = parsed.digest().map(|digest| parsed.with_digest(digest)).unwrap_or(parsed);
        let keeps = !self.options.force && is_single_reference(image);
        if let Some((container, _)) = self.users(&image.id).first().filter(|_| keeps) {
            return Err(Error::conflict(format!(
                "conflict: unable to remove repository reference {:?} (must force) - container {} is using its \
                 referenced image {}",
                name,
                short(container),
                image.id.short()
            )));
        }
        self.untag(image.id, &parsed).await?;
        let Some(left) = self.images.store.images().find(&image.id) else { return Ok(false) };
        let same_repository = |reference: &&Reference| reference.name() == parsed.name();
        if parsed.digest().is_none() && !left.tags.iter().any(|tag| same_repository(&tag)) {
            for digest in left.digests.iter().filter(same_repository) {
                self.untag(image.id, digest).await?;
            }
        }
        let left = self.images.store.images().find(&image.id);
        Ok(left.is_some_and(|left| left.tags.is_empty() && left.digests.is_empty()))
    }

    async fn names_of_id(&mut self, image: &Image) -> Result<()> {
        if !is_single_reference(image) {
            return Ok(());
        }
        if let Some(conflict) = self.conflict(image.id, Names::DoNotCount) {
            return Err(conflict);
        }
        for reference in image.tags.iter().chain(&image.digests) {
            self.untag(image.id, reference).await?;
        }
        Ok(())
    }

    async fn untag(&mut self, id: ImageId, reference: &Reference) -> Result<()> {
        let (store, taken) = (self.images.store.clone(), reference.clone());
        blocking("taking a name away", move || store.images().untag(&taken).map_err(refusal::store)).await?;
        self.records.push(ImageDelete { untagged: reference.familiar(), ..ImageDelete::default() });
        publish(self.engine, action::UNTAG, &id, &id.to_string());
        Ok(())
    }

    /// Removes the image, then its parents as long as nothing needs them.
    async fn image(&mut self, id: ImageId) -> Result<()> {
        if let Some(conflict) = self.conflict(id, Names::Count) {
            return Err(conflict);
        }
        let mut parent = self.remove_one(id).await?;
        self.options.force = false;
        while let Some(id) = parent.filter(|_| !self.options.no_prune) {
            let named = self.images.store.images().find(&id).is_none_or(|image| !image.tags.is_empty());
            if named || self.conflict(id, Names::Count).is_some() {
                break;
            }
            parent = self.remove_one(id).await?;
        }
        Ok(())
    }

    /// Its parent is what it was made from here.
    async fn remove_one(&mut self, id: ImageId) -> Result<Option<ImageId>> {
        let parent = self.images.store.images().find(&id).and_then(|image| image.parent);
        // The event tells the labels, which go with the image.
        let attributes = attributes(self.engine, &id, &id.to_string());
        let store = self.images.store.clone();
        let removed =
            blocking("removing the image", move || store.images().remove(&id).map_err(refusal::store))
                .await?;
        self.engine.events.publish(EventType::Image, action::DELETE, &id.to_string(), attributes);
        let untagged = removed.untagged.iter().map(Reference::familiar);
        self.records.extend(untagged.map(|untagged| ImageDelete { untagged, ..ImageDelete::default() }));
        let deleted = removed.image.iter().map(ToString::to_string);
        let layers = removed.layers.iter().map(ToString::to_string);
        self.records
            .extend(deleted.chain(layers).map(|deleted| ImageDelete { deleted, ..ImageDelete::default() }));
        Ok(parent)
    }

    /// What forbids to remove the image.
    fn conflict(&self, id: ImageId, names: Names) -> Option<Error> {
        let refuse = |how: &str, why: String| {
            Some(Error::conflict(format!("conflict: unable to delete {} ({how}) - {why}", id.short())))
        };
        if !self.images.store.images().children(&id).is_empty() {
            return refuse("cannot be forced", "image has dependent child images".to_owned());
        }
        let users = self.users(&id);
        if let Some((user, _)) = users.iter().find(|(_, running)| *running) {
            let why = format!("image is being used by running container {}", short(user));
            return refuse("cannot be forced", why);
        }
        if self.options.force {
            return None;
        }
        let image = self.images.store.images().find(&id);
        if names == Names::Count
            && image.is_some_and(|image| !image.tags.is_empty() || !image.digests.is_empty())
        {
            return refuse("must be forced", "image is referenced in multiple repositories".to_owned());
        }
        users.first().and_then(|(user, _)| {
            let why = format!("image is being used by stopped container {}", short(user));
            refuse("must be forced", why)
        })
    }

    /// The containers made from the image, and whether they run.
    fn users(&self, id: &ImageId) -> Vec<(String, bool)> {
        self.engine.containers.users_of_image(&id.to_string())
    }
}

/// Whether an image that has names can be removed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Names {
    Count,
    DoNotCount,
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// One tag with the digests of its repository, or one digest.
fn is_single_reference(image: &Image) -> bool {
    if image.tags.len() + image.digests.len() <= 1 {
        return true;
    }
    if image.tags.len() > 1 {
        return false;
    }
    let mut repositories: Vec<String> =
        image.tags.iter().chain(&image.digests).map(Reference::name).collect();
    repositories.dedup();
    repositories.len() == 1
}
