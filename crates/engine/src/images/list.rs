//! `GET /images/json`.

use std::collections::{BTreeMap, HashMap, HashSet};

use barge_api::images::ImageSummary;
use barge_oci::Digest;
use barge_store::{Image, Store};

use super::filter::Filter;
use super::{Images, ListOptions, blocking};
use crate::error::Result;

const FILTERS: &[&str] = &["dangling", "label", "label!", "before", "since", "reference", "until"];

impl Images {
    /// The images that pass, newest first.
    ///
    /// # Errors
    /// If a filter can't be read.
    pub async fn list(&self, options: ListOptions) -> Result<Vec<ImageSummary>> {
        let filter = Filter::new(self, &options.filters, FILTERS)?;
        let all = self.store.images().list();
        let mut found = Vec::new();
        for image in &all {
            let is_step = image.tags.is_empty() && !self.store.images().children(&image.id).is_empty();
            if !filter.includes(image) || (is_step && !options.all) {
                continue;
            }
            if let Some(summary) = summary(image, &filter)? {
                found.push(summary);
            }
        }
        if options.shared_size {
            let store = self.store.clone();
            let shared = blocking("measuring layers", move || Ok(shared_sizes(&store, &all))).await?;
            for summary in &mut found {
                summary.shared_size = shared.get(&summary.id).copied().unwrap_or(0);
            }
        }
        Ok(found)
    }
}

fn summary(image: &Image, filter: &Filter<'_>) -> Result<Option<ImageSummary>> {
    let mut repo_tags = Vec::new();
    for tag in &image.tags {
        if filter.includes_name(tag)? {
            repo_tags.push(tag.familiar());
        }
    }
    let mut repo_digests = Vec::new();
    for (digest, shown) in image.digests.iter().zip(&image.repo_digests) {
        if filter.includes_name(digest)? {
            repo_digests.push(shown.clone());
        }
    }
    if filter.wants_names() && repo_tags.is_empty() && repo_digests.is_empty() {
        return Ok(None);
    }
    let size = i64::try_from(image.size).unwrap_or(i64::MAX);
    Ok(Some(ImageSummary {
        containers: -1,
        created: image.created.map_or(0, jiff::Timestamp::as_second),
        id: image.id.to_string(),
        labels: image.config.config.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        parent_id: image.parent.map(|parent| parent.to_string()).unwrap_or_default(),
        repo_digests,
        repo_tags,
        shared_size: -1,
        size,
        virtual_size: size,
        ..ImageSummary::default()
    }))
}

/// For each image the bytes of its layers that other images have too.
fn shared_sizes(store: &Store, images: &[Image]) -> BTreeMap<String, i64> {
    let mut users: HashMap<Digest, usize> = HashMap::new();
    for image in images {
        // An image may have the same layer twice only under different chain IDs, but be sure.
        for chain_id in image.chain.iter().collect::<HashSet<_>>() {
            *users.entry(*chain_id).or_default() += 1;
        }
    }
    let shared_size = |image: &Image| {
        let shared =
            image.chain.iter().filter(|chain_id| users.get(chain_id).is_some_and(|count| *count > 1));
        let bytes: u64 = shared.map(|chain_id| store.layers().size(chain_id).unwrap_or(0)).sum();
        i64::try_from(bytes).unwrap_or(i64::MAX)
    };
    images.iter().map(|image| (image.id.to_string(), shared_size(image))).collect()
}
