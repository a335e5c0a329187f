//! Taking networks away: one, or all that nobody is in.

use std::collections::BTreeMap;

use barge_api::Filters;
use barge_api::events::{EventType, action};
use barge_api::networks::NetworkPrune;
use barge_network::Driver;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Entry, Networks, is_predefined};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};

impl Networks {
    /// Removes a network that nobody is in; 403 if somebody is, or if every engine has it. Blocks.
    pub fn remove(&self, engine: &Engine, name: &str) -> Result<()> {
        let entry = self.find(name)?;
        let document = &entry.document;
        if is_predefined(&document.name) {
            return Err(Error::forbidden(format!(
                "{} is a pre-defined network and cannot be removed",
                document.name
            )));
        }
        // Under the lock nobody can join.
        let mut entries = self.entries_mut();
        let members = active(engine, &entry);
        if !members.is_empty() {
            return Err(Error::forbidden(format!(
                "error while removing network: network {} has active endpoints ({members})",
                document.name
            )));
        }
        if let Some(bridge) = &entry.bridge {
            self.driver
                .down(&bridge.definition)
                .map_err(Error::failed(format!("error while removing network {}", document.name)))?;
        }
        document.erase(&self.dir)?;
        entries.remove(&document.id);
        drop(entries);
        let attributes = BTreeMap::from([
            ("name".to_owned(), document.name.clone()),
            ("type".to_owned(), document.driver.as_str().to_owned()),
        ]);
        engine.events.publish(EventType::Network, action::DESTROY, &document.id, attributes);
        Ok(())
    }

    /// Removes all networks that users made, that nobody is in and that pass the filters. Blocks.
    pub fn prune(&self, engine: &Engine, filters: &Filters) -> Result<NetworkPrune> {
        let invalid = |error: barge_api::Error| Error::invalid(error.to_string());
        filters.validate(&["label", "label!", "until"]).map_err(invalid)?;
        let moment = |text| barge_api::time::parse(text, crate::clock::now(), &TimeZone::system());
        let until = filters.values("until").next().map(moment).transpose().map_err(invalid)?;
        let wanted = |entry: &Entry| {
            let document = &entry.document;
            !is_predefined(&document.name)
                && entry.members().is_empty()
                && until.is_none_or(|until: Timestamp| document.created < until)
                && filters.labels("label", &document.labels)
                && (!filters.contains("label!") || !filters.labels("label!", &document.labels))
        };
        let entries = self.entries();
        let found: Vec<_> = entries.values().filter(|entry| wanted(entry)).cloned().collect();
        drop(entries);
        let mut pruned = NetworkPrune::default();
        for entry in found {
            match self.remove(engine, &entry.document.id) {
                Ok(()) => pruned.networks_deleted.push(entry.document.name.clone()),
                // Somebody joined it, or removed it, meanwhile.
                Err(error) if matches!(error.kind(), Kind::Forbidden | Kind::NotFound) => {}
                Err(error) => {
                    tracing::warn!(network = entry.document.name, %error, "a network could not be pruned")
                }
            }
        }
        let attributes = BTreeMap::from([("reclaimed".to_owned(), "0".to_owned())]);
        engine.events.publish(EventType::Network, action::PRUNE, "", attributes);
        Ok(pruned)
    }
}

/// Who is in a network, in Docker's words.
fn active(engine: &Engine, entry: &Entry) -> String {
    let members: Vec<String> = entry.members().keys().cloned().collect();
    let word = |id: &String| {
        let name = engine.containers.name_of(id).unwrap_or_default();
        format!("name:\"{name}\" id:\"{}\"", id.get(..12).unwrap_or(id))
    };
    members.iter().map(word).collect::<Vec<_>>().join(", ")
}
