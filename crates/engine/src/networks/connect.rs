//! Connecting a running container to one more network, and taking it out of one.

use std::os::fd::{AsFd, OwnedFd};

use barge_api::events::action;
use barge_api::networks::EndpointSettings;
use barge_network::Driver;

use super::build::{Joining, check_wishes};
use super::{Attachment, Networks, random_id};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// A running container, for which the network is changed.
#[derive(Clone, Copy, Debug)]
pub struct Running<'a> {
    /// 64 hex digits.
    pub id: &'a str,
    /// Without a slash.
    pub name: &'a str,
    /// Its first process, in its network namespace.
    pub pid: u32,
    /// Its networks so far.
    pub attachments: &'a [Attachment],
}

impl Networks {
    /// Joins a running container to one more network. Blocks. Its ports stay where they are published.
    pub fn connect(
        &self,
        engine: &Engine,
        container: Running<'_>,
        network: &str,
        wanted: &EndpointSettings,
    ) -> Result<Attachment> {
        let entry = self.find(network)?;
        check_wishes(&entry, wanted)?;
        let netns = namespace_of(container.pid)?;
        let open = entry.bridge.as_ref().is_some_and(|bridge| !bridge.definition.internal);
        let joining = Joining {
            container: container.id,
            name: container.name,
            endpoint_id: random_id()?,
            interface: free_interface(container.attachments),
            default_route: open && container.attachments.iter().all(|one| one.settings.gateway.is_empty()),
            wanted,
            ports: Vec::new(),
            netns: netns.as_fd(),
        };
        let attachment = self.join(&entry, &entry.document.name, &joining)?;
        self.tell(engine, action::CONNECT, container.id, &attachment);
        Ok(attachment)
    }

    /// Takes a running container out of a network: interface and rules are gone on return. Blocks.
    pub fn disconnect(&self, engine: &Engine, container: &str, attachment: &Attachment) -> Result<()> {
        if let Some(entry) = self.entries().get(&attachment.settings.network_id).cloned() {
            if let (Some(bridge), Some(endpoint)) = (&entry.bridge, &attachment.endpoint) {
                let detached = self.driver.detach(&bridge.definition, endpoint);
                detached.map_err(|error| Error::system(error.to_string()))?;
                bridge.pool().release(endpoint.spec.address);
            }
            entry.members().remove(container);
        }
        self.tell(engine, action::DISCONNECT, container, attachment);
        Ok(())
    }
}

fn namespace_of(pid: u32) -> Result<OwnedFd> {
    let file = std::fs::File::open(format!("/proc/{pid}/ns/net"));
    file.map(OwnedFd::from).map_err(Error::failed("finding the container's network namespace"))
}

/// The first `ethN` that no endpoint of the container has.
fn free_interface(attachments: &[Attachment]) -> String {
    let taken = |name: &str| {
        attachments.iter().filter_map(|one| one.endpoint.as_ref()).any(|one| one.spec.interface == name)
    };
    (0..).map(|number: u32| format!("eth{number}")).find(|name| !taken(name)).unwrap_or_default()
}
