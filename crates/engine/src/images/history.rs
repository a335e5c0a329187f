//! `GET /images/{name}/history`: the steps an image was made in, newest first.

use barge_api::images::HistoryItem;
use barge_oci::image_config::History;
use barge_store::{Image, Store};

use super::{Images, blocking};
use crate::error::Result;

impl Images {
    /// The steps.
    ///
    /// # Errors
    /// 404 if there is no image of that name.
    pub async fn history(&self, name: &str) -> Result<Vec<HistoryItem>> {
        let image = self.resolve(name).await?;
        let store = self.store.clone();
        blocking("measuring layers", move || Ok(items(&store, &image))).await
    }
}

fn items(store: &Store, image: &Image) -> Vec<HistoryItem> {
    let mut layers = image.chain.iter();
    let size = |empty: bool, layers: &mut std::slice::Iter<'_, _>| {
        let chain_id = if empty { None } else { layers.next() };
        let bytes = chain_id.and_then(|chain_id| store.layers().size(chain_id).ok()).unwrap_or(0);
        i64::try_from(bytes).unwrap_or(i64::MAX)
    };
    let mut items: Vec<HistoryItem> =
        image.config.history.iter().map(|step| item(step, size(step.empty_layer, &mut layers))).collect();
    // Layers that no step tells of are shown all the same.
    while layers.len() > 0 {
        items.push(item(&History::default(), size(false, &mut layers)));
    }
    items.reverse();
    if let Some(newest) = items.first_mut() {
        newest.id = image.id.to_string();
        newest.tags = image.tags.iter().map(barge_oci::Reference::familiar).collect();
    }
    items
}

fn item(step: &History, size: i64) -> HistoryItem {
    HistoryItem {
        comment: step.comment.clone(),
        created: step.created.map_or(0, jiff::Timestamp::as_second),
        created_by: step.created_by.clone(),
        id: "<missing>".to_owned(),
        size,
        tags: Vec::new(),
    }
}
