//! Containers: one owner task each, found by ID, name or the start of an ID; one verb a file.
//!
//! ```text
//! spec        request ─▶ OCI specification, pure        index     who there is
//! lifecycle   statuses and the step between them, pure  task      the owner: queue, step, actions
//! document    container.json                            restore   what a new daemon finds
//! create start stop kill restart pause rename update remove prune wait
//! attach logs list inspect resize top
//! ```

mod attach;
mod bundle;
mod create;
mod detach_keys;
pub(crate) mod document;
mod duration;
mod etc;
mod index;
mod inspect;
mod kill;
mod lifecycle;
mod list;
mod logs;
mod mounts;
mod names;
mod network;
mod pause;
mod policy;
mod prune;
mod remove;
mod rename;
mod resize;
mod restart;
mod restore;
pub(crate) mod spec;
mod start;
mod stop;
mod task;
mod top;
mod update;
mod wait;

pub use attach::{AttachOptions, ClientStream, Duplex};
pub use list::ListOptions;
pub use logs::{Logs, LogsOptions};
pub use remove::RemoveOptions;
pub use stop::StopOptions;

use std::sync::Arc;

use barge_shim::Shim;

pub(crate) use self::attach::{next_id as next_attach, stream_of};
pub(crate) use self::detach_keys::parse as detach_keys;
use self::document::Document;
use self::index::Index;
use self::lifecycle::Status;
pub(crate) use self::names::new_id;
pub(crate) use self::task::announce;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// All containers of one engine.
#[derive(Default)]
pub struct Containers {
    pub(crate) index: Index,
}

/// Containers by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: u64,
    pub paused: u64,
    pub stopped: u64,
}

impl Containers {
    /// No container yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// IDs of the containers, running or not, that use a volume.
    pub fn users_of_volume(&self, name: &str) -> Vec<String> {
        let uses =
            |document: &document::Document| document.mounts.iter().any(|mount| mount.volume() == Some(name));
        let all = self.index.all();
        all.iter()
            .filter(|container| uses(&container.view().document))
            .map(|container| container.id.clone())
            .collect()
    }

    /// The name of a container, without its slash.
    pub fn name_of(&self, id: &str) -> Option<String> {
        self.index.find(id).ok().map(|container| container.view().document.name.clone())
    }

    /// IDs of the containers, and whether they run, that were made from an image.
    pub fn users_of_image(&self, image_id: &str) -> Vec<(String, bool)> {
        let all = self.index.all();
        let views = all.iter().map(|container| container.view());
        views
            .filter(|view| view.document.image == image_id)
            .map(|view| (view.document.id.clone(), view.document.status.counts_as_running()))
            .collect()
    }

    /// How many run, are paused, and are stopped: for `info`.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for container in self.index.all() {
            match container.view().document.status {
                Status::Running(_) | Status::Restarting(_) => counts.running += 1,
                Status::Paused(_) => counts.paused += 1,
                _ => counts.stopped += 1,
            }
        }
        counts
    }
}

/// A container that can be given another process now.
///
/// # Errors
/// 404 or 409, with Docker's text.
pub(crate) fn exec_target(engine: &Engine, container: &str) -> Result<Arc<Document>> {
    let document = engine.containers.index.find(container)?.view().document;
    let id = &document.id;
    match document.status {
        Status::Running(_) => Ok(document),
        Status::Paused(_) => {
            Err(Error::conflict(format!("container {id} is paused, unpause the container before exec")))
        }
        Status::Restarting(_) => {
            Err(Error::conflict(format!("container {id} is restarting, wait until the container is running")))
        }
        _ => Err(Error::conflict(format!("container {id} is not running"))),
    }
}

/// The shim of a running container.
pub(crate) async fn shim_of(engine: &Engine, container: &str) -> Result<Shim> {
    let container = engine.containers.index.find(container)?;
    container.ask(|owner| Box::pin(std::future::ready(owner.shim()))).await
}

/// Whether a shim's failure says that the process it was for has ended.
pub(crate) fn is_gone(error: &barge_shim::Error) -> bool {
    match error {
        barge_shim::Error::Gone => true,
        barge_shim::Error::Refused(failure) => failure.kind == barge_shim::Kind::NotFound,
        _ => false,
    }
}

/// A shim's failure in the engine's words.
pub(crate) fn shim_error(error: &barge_shim::Error) -> Error {
    let text = error.to_string();
    let failure = match error {
        barge_shim::Error::Refused(failure) => failure,
        barge_shim::Error::Gone => return Error::conflict("the container has just ended"),
        _ => return Error::system(text),
    };
    match failure.kind {
        barge_shim::Kind::NotFound => Error::not_found(text),
        barge_shim::Kind::Conflict => Error::conflict(text),
        barge_shim::Kind::Invalid => Error::invalid(text),
        _ => Error::system(text),
    }
}
