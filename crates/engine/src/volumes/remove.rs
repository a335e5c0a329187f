//! Taking volumes away: one, or all that nobody uses.

use std::collections::BTreeMap;

use barge_api::Filters;
use barge_api::events::{EventType, action};
use barge_api::volumes::VolumePrune;

use super::document::GRAVE;
use super::list::disk_size;
use super::{ANONYMOUS, Volumes, name, no_such_volume};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};

/// What a removal does about a volume that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Refused,
    /// `force`: as good as removed.
    Fine,
}

impl Volumes {
    /// Removes a volume and what it holds; 409 while a container, running or not, uses it. Blocks on the disk.
    pub fn remove(&self, engine: &Engine, name: &str, missing: Missing) -> Result<()> {
        match self.take(name, |name| engine.containers.users_of_volume(name)) {
            Err(error) if error.kind() == Kind::NotFound && missing == Missing::Fine => return Ok(()),
            taken => taken?,
        }
        self.discard(name)?;
        let attributes = BTreeMap::from([("driver".to_owned(), super::LOCAL.to_owned())]);
        engine.events.publish(EventType::Volume, action::DESTROY, name, attributes);
        Ok(())
    }

    /// Removes a volume that its container made for itself, when the container goes with `v=1` or `--rm`.
    /// One that other containers use, or that is gone already, is left alone without an error.
    pub fn remove_anonymous(&self, engine: &Engine, name: &str) -> Result<()> {
        match self.remove(engine, name, Missing::Fine) {
            Err(error) if error.kind() == Kind::Conflict => Ok(()),
            other => other,
        }
    }

    /// Removes all that no container uses and that pass the filters: the anonymous ones, with `all` the named too.
    pub fn prune(&self, engine: &Engine, filters: &Filters) -> Result<VolumePrune> {
        let invalid = |error: barge_api::Error| Error::invalid(error.to_string());
        filters.validate(&["all", "label", "label!"]).map_err(invalid)?;
        let all = filters.boolean("all").map_err(invalid)?.unwrap_or(false);
        let wanted = |labels: &BTreeMap<String, String>| {
            (all || labels.contains_key(ANONYMOUS))
                && filters.labels("label", labels)
                && (!filters.contains("label!") || !filters.labels("label!", labels))
        };
        let candidates: Vec<String> = self
            .entries()
            .iter()
            .filter(|(_, entry)| wanted(&entry.document.labels))
            .map(|(name, _)| name.clone())
            .collect();
        let mut pruned = VolumePrune::default();
        for name in candidates {
            let size = disk_size(&self.data(&name));
            match self.remove(engine, &name, Missing::Fine) {
                Ok(()) => {
                    pruned.space_reclaimed += size;
                    pruned.volumes_deleted.push(name);
                }
                Err(error) if error.kind() == Kind::Conflict => {}
                Err(error) => tracing::warn!(name, %error, "a volume could not be pruned"),
            }
        }
        let reclaimed = BTreeMap::from([("reclaimed".to_owned(), pruned.space_reclaimed.to_string())]);
        engine.events.publish(EventType::Volume, action::PRUNE, "", reclaimed);
        Ok(pruned)
    }

    /// Forgets a volume that nobody uses, so that nobody can start to.
    pub(super) fn take(&self, name: &str, users: impl Fn(&str) -> Vec<String>) -> Result<()> {
        let mut entries = self.entries();
        let entry = entries.get(name).ok_or_else(|| no_such_volume(name))?;
        let users = users(name);
        if !users.is_empty() {
            let users = users.join(", ");
            return Err(Error::conflict(format!("remove {name}: volume is in use - [{users}]")));
        }
        if entry.hold.strong_count() > 0 {
            return Err(Error::conflict(format!("remove {name}: volume is in use")));
        }
        entries.remove(name);
        Ok(())
    }

    /// Deletes a forgotten volume's files. The rename comes first: what a crash in mid-deletion leaves is no volume
    /// any more, and is deleted when the engine is opened again.
    pub(super) fn discard(&self, name: &str) -> Result<()> {
        let failed = || format!("remove {name}");
        let grave = self.root.join(format!("{GRAVE}{}", name::random()?));
        std::fs::rename(self.dir(name), &grave).map_err(Error::failed(failed()))?;
        std::fs::remove_dir_all(&grave).map_err(Error::failed(failed()))
    }
}
