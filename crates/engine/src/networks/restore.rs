//! Taking over what an earlier daemon left: the endpoints of containers that still run.

use std::collections::BTreeMap;

use barge_network::{Driver, Endpoint};

use super::{Attachment, Entry, Networks};
use crate::error::{Error, Result};

impl Networks {
    /// After a restart of the daemon: the endpoints of containers that still run are taken over (addresses
    /// reserved, rules and veths put back where missing), all others of ours are removed. Blocks.
    pub fn restore(&self, running: &[(String, Vec<Attachment>)]) -> Result<()> {
        let mut endpoints: BTreeMap<String, Vec<Endpoint>> = BTreeMap::new();
        for (container, attachments) in running {
            for attachment in attachments {
                let network = &attachment.settings.network_id;
                let Some(entry) = self.entries().get(network).cloned() else {
                    tracing::warn!(container, network, "a container's network is gone");
                    continue;
                };
                take_over(&entry, container, attachment);
                endpoints.entry(network.clone()).or_default().extend(attachment.endpoint.clone());
            }
        }
        let actual: Vec<_> = self
            .entries()
            .values()
            .filter_map(|entry| entry.bridge.as_ref())
            .map(|bridge| {
                (bridge.definition.clone(), endpoints.remove(&bridge.definition.id).unwrap_or_default())
            })
            .collect();
        let restored = self.driver.reconcile(&actual).map_err(Error::failed("restoring networks"));
        for warning in self.driver.obstacles() {
            tracing::warn!("{warning}");
        }
        match restored {
            // An engine that can't touch the network still serves containers that need none.
            Err(error) if running.is_empty() => {
                tracing::warn!(%error, "networks are not available");
                Ok(())
            }
            other => other,
        }
    }
}

fn take_over(entry: &Entry, container: &str, attachment: &Attachment) {
    if let (Some(bridge), Some(endpoint)) = (&entry.bridge, &attachment.endpoint) {
        let taken = bridge.pool().allocate(Some(endpoint.spec.address));
        if let Err(error) = taken {
            // It has the address and keeps it; nobody else gets it meanwhile either way.
            tracing::warn!(container, %error, "a running container's address");
        }
    }
    entry.members().insert(container.to_owned(), attachment.settings.clone());
}
