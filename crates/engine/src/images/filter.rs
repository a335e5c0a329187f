//! Which images a list or a prune is about.

use barge_api::Filters;
use barge_store::Image;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Images, pattern, refusal};
use crate::error::{Error, Result};

/// The filters of `images`, read once.
pub(super) struct Filter<'a> {
    filters: &'a Filters,
    dangling: Option<bool>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl<'a> Filter<'a> {
    /// Reads and resolves the values.
    ///
    /// # Errors
    /// For keys that are not `known`, values that can't be read, images that are not there.
    pub(super) fn new(images: &Images, filters: &'a Filters, known: &[&str]) -> Result<Self> {
        let invalid = |error: barge_api::Error| Error::invalid(error.to_string());
        filters.validate(known).map_err(invalid)?;
        let created = |key: &str| -> Result<Vec<Option<Timestamp>>> {
            filters.values(key).map(|name| find_created(images, name)).collect()
        };
        let now = Timestamp::now();
        let until = filters
            .values("until")
            .map(|text| barge_api::time::parse(text, now, &TimeZone::UTC).map_err(invalid))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            filters,
            dangling: filters.boolean("dangling").map_err(invalid)?,
            before: created("before")?.into_iter().flatten().min(),
            since: created("since")?.into_iter().flatten().max(),
            until: until.into_iter().min(),
        })
    }

    /// What `dangling` was set to.
    pub(super) fn dangling(&self) -> Option<bool> {
        self.dangling
    }

    /// Whether an image passes, whatever its names.
    pub(super) fn includes(&self, image: &Image) -> bool {
        let created = image.created.unwrap_or(Timestamp::UNIX_EPOCH);
        let dangling = image.tags.is_empty();
        let labels = &image.config.config.labels;
        self.before.is_none_or(|limit| created < limit)
            && self.since.is_none_or(|limit| created > limit)
            && self.until.is_none_or(|limit| created < limit)
            && self.dangling.is_none_or(|wanted| wanted == dangling)
            && self.filters.labels("label", labels)
            && (!self.filters.contains("label!") || !self.filters.labels("label!", labels))
    }

    /// Whether one of its names passes; without a filter on names all do.
    pub(super) fn includes_name(&self, reference: &barge_oci::Reference) -> Result<bool> {
        if !self.filters.contains("reference") {
            return Ok(true);
        }
        for wanted in self.filters.values("reference") {
            if pattern::matches_reference(wanted, reference)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// True if images without a name can't pass.
    pub(super) fn wants_names(&self) -> bool {
        self.filters.contains("reference")
    }
}

fn find_created(images: &Images, name: &str) -> Result<Option<Timestamp>> {
    let image = images.store.images().resolve(name).map_err(|error| refusal::unresolved(name, error))?;
    Ok(image.created)
}
