//! A container's network at its start: what it wants, whose namespace it shares, and what was made for it.
//!
//! `BUNDLE/network.json` keeps the endpoints of a run. It lies on the exec root, which a reboot empties together with
//! everything it speaks of.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::document::Document;
use super::lifecycle::Status;
use super::spec::oci::Shared;
use super::spec::{oci, ports};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::networks::{Attachment, Sandbox, SandboxRequest};

const FILE: &str = "network.json";

/// A network being built on a blocking thread; `None` for a container that uses someone else's.
pub(super) struct Building(Option<JoinHandle<Result<Sandbox>>>);

/// Begins to build the network of a container.
///
/// # Errors
/// Invalid, if its ports are; they were checked when it was made.
pub(super) fn begin(engine: &Arc<Engine>, document: &Document) -> Result<Building> {
    if oci::shares_network(&document.host_config.network_mode) {
        return Ok(Building(None));
    }
    let endpoints = match document.host_config.network_mode.as_str() {
        "none" => BTreeMap::new(),
        _ => document.networks.clone(),
    };
    let ports = if endpoints.is_empty() {
        Vec::new()
    } else {
        ports::requests(&document.config, &document.host_config)?
    };
    let request =
        SandboxRequest { container: document.id.clone(), name: document.name.clone(), endpoints, ports };
    let engine = Arc::clone(engine);
    Ok(Building(Some(tokio::task::spawn_blocking(move || engine.networks.build(&engine, &request)))))
}

impl Building {
    /// Waits until it is built.
    pub(super) async fn finish(self) -> Result<Option<Sandbox>> {
        let Some(task) = self.0 else { return Ok(None) };
        task.await.map_err(Error::failed("failed to set up container networking"))?.map(Some)
    }
}

/// Keeps the endpoints of a run where the next daemon finds them.
pub(super) fn save(engine: &Engine, id: &str, attachments: &[Attachment]) -> Result<()> {
    if attachments.is_empty() {
        return Ok(());
    }
    let path = engine.config.bundle(id).join(FILE);
    let text = serde_json::to_vec(attachments).map_err(Error::failed("saving a container's network"))?;
    std::fs::write(path, text).map_err(Error::failed("saving a container's network"))
}

/// The endpoints of a run that an earlier daemon began.
pub(super) fn load(engine: &Engine, id: &str) -> Vec<Attachment> {
    let text = std::fs::read(engine.config.bundle(id).join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Finds the processes whose namespaces a container shares.
///
/// # Errors
/// 409 or 404, with Docker's text, if one of the other containers is gone or does not run.
pub(super) fn shared(engine: &Engine, document: &Document) -> Result<Shared> {
    let pid_of = |mode: &str, what: &str| -> Result<Option<u32>> {
        let Some(wanted) = mode.strip_prefix("container:") else { return Ok(None) };
        let container = engine
            .containers
            .index
            .find(wanted)
            .map_err(|error| error.within(format!("joining {what} namespace of container")))?;
        let view = container.view();
        match &view.document.status {
            Status::Running(run) | Status::Paused(run) => Ok(Some(run.pid)),
            Status::Restarting(_) => Err(Error::conflict(format!(
                "cannot join {what} namespace of a restarting container: {}",
                container.id
            ))),
            _ => Err(Error::conflict(format!(
                "cannot join {what} namespace of a non running container: container {} is {}",
                container.id,
                view.document.status.word()
            ))),
        }
    };
    let host_config = &document.host_config;
    Ok(Shared {
        network: pid_of(&host_config.network_mode, "network")?,
        ipc: pid_of(&host_config.ipc_mode, "IPC")?,
        pid: pid_of(&host_config.pid_mode, "PID")?,
    })
}
