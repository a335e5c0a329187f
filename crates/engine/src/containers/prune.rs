//! Prune: remove all containers that do not run.

use std::sync::Arc;

use barge_api::Filters;
use barge_api::containers::ContainerPrune;
use barge_api::events::{EventType, action};
use jiff::tz::TimeZone;

use super::lifecycle::Status;
use super::{Containers, RemoveOptions};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Containers {
    /// Removes all that do not run and pass the filters.
    pub async fn prune(&self, engine: &Arc<Engine>, filters: &Filters) -> Result<ContainerPrune> {
        let invalid = |error: barge_api::Error| Error::invalid(error.to_string());
        filters.validate(&["label", "label!", "until"]).map_err(invalid)?;
        let mut until = None;
        for text in filters.values("until") {
            until = Some(barge_api::time::parse(text, crate::clock::now(), &TimeZone::UTC).map_err(invalid)?);
        }
        let mut pruned = ContainerPrune::default();
        for container in self.index.all() {
            let document = container.view().document;
            let stopped =
                matches!(document.status, Status::Created { .. } | Status::Exited(_) | Status::Dead(_));
            let labels = &document.config.labels;
            let wanted = filters.labels("label", labels)
                && (!filters.contains("label!") || !filters.labels("label!", labels))
                && until.is_none_or(|until| document.created < until);
            if !stopped || !wanted {
                continue;
            }
            let size = engine.images.store().snapshots().usage(&container.id).unwrap_or_default();
            match self.remove(engine, &container.id, RemoveOptions::default()).await {
                Ok(()) => {
                    pruned.space_reclaimed += size;
                    pruned.containers_deleted.push(container.id.clone());
                }
                Err(error) => tracing::warn!(id = container.id, %error, "a container could not be pruned"),
            }
        }
        let reclaimed = [("reclaimed".to_owned(), pruned.space_reclaimed.to_string())];
        engine.events.publish(EventType::Container, action::PRUNE, "", reclaimed.into());
        Ok(pruned)
    }
}
