//! Which networks there are, and what `inspect` says of one.

use std::collections::BTreeMap;

use barge_api::Filters;
use barge_api::networks::{EndpointResource, EndpointSettings, Ipam, IpamConfig, Network};

use super::document::{BridgeDocument, Document};
use super::{Entry, Networks, is_predefined};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Networks {
    /// Networks that pass the filters, newest last. Their containers are left out, as Docker does in lists.
    pub fn list(&self, filters: &Filters) -> Result<Vec<Network>> {
        let invalid = |error: barge_api::Error| Error::invalid(error.to_string());
        filters.validate(&["dangling", "driver", "id", "label", "name", "scope", "type"]).map_err(invalid)?;
        let dangling = filters.boolean("dangling").map_err(invalid)?;
        if let Some(kind) = filters.values("type").find(|kind| !["custom", "builtin"].contains(kind)) {
            return Err(Error::invalid(format!("invalid filter: 'type'='{kind}'")));
        }
        let passes = |entry: &Entry| {
            let document = &entry.document;
            let builtin = is_predefined(&document.name);
            filters.any("name", |part| document.name.contains(part))
                && filters.any("id", |part| document.id.contains(part))
                && filters.exact("driver", document.driver.as_str())
                && filters.exact("scope", "local")
                && filters.exact("type", if builtin { "builtin" } else { "custom" })
                && filters.labels("label", &document.labels)
                && dangling.is_none_or(|wanted| wanted == (!builtin && entry.members().is_empty()))
        };
        let entries = self.entries();
        let mut found: Vec<&Entry> =
            entries.values().map(AsRef::as_ref).filter(|entry| passes(entry)).collect();
        found.sort_by_key(|entry| (entry.document.created, &entry.document.name));
        Ok(found.into_iter().map(|entry| describe(&entry.document)).collect())
    }

    /// Everything about one, its containers too; 404 if there is none.
    pub fn inspect(&self, engine: &Engine, name: &str) -> Result<Network> {
        let entry = self.find(name)?;
        let members = entry.members().clone();
        let named = |id: &String| engine.containers.name_of(id).unwrap_or_default();
        let containers =
            members.into_iter().map(|(id, settings)| (id.clone(), resource(named(&id), settings))).collect();
        Ok(Network { containers, ..describe(&entry.document) })
    }
}

fn resource(name: String, settings: EndpointSettings) -> EndpointResource {
    let ipv4_address = match settings.ip_address.as_str() {
        "" => String::new(),
        address => format!("{address}/{}", settings.ip_prefix_len),
    };
    EndpointResource {
        name,
        endpoint_id: settings.endpoint_id,
        mac_address: settings.mac_address,
        ipv4_address,
        ipv6_address: String::new(),
    }
}

/// A network without its containers.
fn describe(document: &Document) -> Network {
    Network {
        name: document.name.clone(),
        id: document.id.clone(),
        created: crate::clock::rfc3339(document.created),
        scope: "local".to_owned(),
        driver: document.driver.as_str().to_owned(),
        enable_ipv4: true,
        ipam: Ipam {
            driver: "default".to_owned(),
            options: BTreeMap::new(),
            config: document.bridge.iter().map(ipam_config).collect(),
        },
        internal: document.bridge.as_ref().is_some_and(|bridge| bridge.definition.internal),
        attachable: document.attachable,
        options: document.options.clone(),
        labels: document.labels.clone(),
        ..Network::default()
    }
}

fn ipam_config(bridge: &BridgeDocument) -> IpamConfig {
    let address = |(name, ip): (&String, &std::net::Ipv4Addr)| (name.clone(), ip.to_string());
    IpamConfig {
        subnet: bridge.definition.subnet.to_string(),
        ip_range: bridge.range.map(|range| range.to_string()).unwrap_or_default(),
        gateway: bridge.definition.gateway.to_string(),
        auxiliary_addresses: bridge.reserved.iter().map(address).collect(),
    }
}
