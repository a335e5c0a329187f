//! `POST /images/prune`: images that no container uses; only those without a name unless asked for more.

use std::collections::BTreeMap;
use std::sync::Arc;

use barge_api::Filters;
use barge_api::events::{EventType, action};
use barge_api::images::{ImageDelete, ImagePrune};
use barge_store::Image;
use barge_store::gc::ORPHAN_AGE;

use super::filter::Filter;
use super::{Images, RemoveOptions, blocking, refusal};
use crate::engine::Engine;
use crate::error::Result;

const FILTERS: &[&str] = &["dangling", "label", "label!", "until"];

impl Images {
    /// Removes what passes the filters. An image that can't be removed after all is skipped.
    ///
    /// # Errors
    /// If a filter can't be read.
    pub async fn prune(&self, engine: &Arc<Engine>, filters: Filters) -> Result<ImagePrune> {
        let mut filters = filters;
        // Docker's default, and its way to say "all": `dangling=false` prunes images with and without names.
        let everything = Filter::new(self, &filters, FILTERS)?.dangling() == Some(false);
        if everything {
            filters = without_dangling(&filters);
        } else if !filters.contains("dangling") {
            filters.add("dangling", "true");
        }
        let before = self.used_bytes().await?;
        let mut images_deleted = Vec::new();
        for image in self.unused(engine, &filters)? {
            images_deleted.extend(self.prune_one(engine, &image).await);
        }
        let store = self.store.clone();
        blocking("collecting garbage", move || store.collect_garbage(ORPHAN_AGE).map_err(refusal::store))
            .await?;
        let space_reclaimed = before.saturating_sub(self.used_bytes().await?);
        let attributes = BTreeMap::from([("reclaimed".to_owned(), space_reclaimed.to_string())]);
        engine.events.publish(EventType::Image, action::PRUNE, "", attributes);
        Ok(ImagePrune { images_deleted, space_reclaimed })
    }

    fn unused(&self, engine: &Arc<Engine>, filters: &Filters) -> Result<Vec<Image>> {
        let filter = Filter::new(self, filters, FILTERS)?;
        let mut unused = Vec::new();
        for image in self.store.images().list() {
            let is_step = image.tags.is_empty() && !self.store.images().children(&image.id).is_empty();
            if filter.includes(&image)
                && !is_step
                && engine.containers.users_of_image(&image.id.to_string()).is_empty()
            {
                unused.push(image);
            }
        }
        Ok(unused)
    }

    /// All names, one after the other; with the last one the image goes.
    async fn prune_one(&self, engine: &Arc<Engine>, image: &Image) -> Vec<ImageDelete> {
        let mut names: Vec<String> = image.tags.iter().map(ToString::to_string).collect();
        if names.is_empty() {
            names.push(image.id.to_string());
        }
        let mut records = Vec::new();
        for name in names {
            match self.remove(engine, &name, RemoveOptions::default()).await {
                Ok(removed) => records.extend(removed),
                Err(error) => tracing::debug!(%name, %error, "image is not pruned"),
            }
        }
        records
    }

    /// The bytes of all layers, each counted once.
    async fn used_bytes(&self) -> Result<u64> {
        let store = self.store.clone();
        blocking("measuring layers", move || {
            let images = store.images().list();
            let chain: std::collections::HashSet<_> = images.iter().flat_map(|image| &image.chain).collect();
            Ok(chain.into_iter().map(|chain_id| store.layers().size(chain_id).unwrap_or(0)).sum())
        })
        .await
    }
}

fn without_dangling(filters: &Filters) -> Filters {
    let mut rest = Filters::default();
    for key in filters.keys().filter(|key| *key != "dangling") {
        filters.values(key).for_each(|value| rest.add(key, value));
    }
    rest
}
