//! Remove: the container, its root filesystem, its log, and its own volumes if asked.

use std::sync::Arc;

use barge_api::events::action;

use super::document::MountRecord;
use super::kill::kill_and_wait;
use super::lifecycle::{Event, Status};
use super::task::Owner;
use super::{Containers, bundle};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};

/// `DELETE /containers/{id}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    pub force: bool,
    /// Its anonymous volumes too.
    pub volumes: bool,
    /// Only a link, which Barge has none of.
    pub link: bool,
}

/// What goes with a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Volumes {
    Keep,
    RemoveOwn,
}

impl Containers {
    /// Removes it with its root filesystem and logs.
    pub async fn remove(&self, _engine: &Arc<Engine>, id: &str, options: RemoveOptions) -> Result<()> {
        let container = self.index.find(id)?;
        if options.link {
            return Err(Error::system("Conflict, cannot remove the default link name of the container"));
        }
        let within = |error: Error| match error.kind() {
            Kind::NotFound => error,
            _ => error.within(format!("cannot remove container {id:?}")),
        };
        let status = container.view().document.status.clone();
        if status.counts_as_running() {
            if !options.force {
                return Err(within(refusal(&status)));
            }
            match kill_and_wait(&container).await {
                // It ended by itself, or went with `--rm`.
                Err(error) if matches!(error.kind(), Kind::Conflict | Kind::NotFound) => {}
                other => other.map_err(|error| within(error.within("could not kill container")))?,
            }
        }
        let volumes = if options.volumes { Volumes::RemoveOwn } else { Volumes::Keep };
        match container.ask(move |owner| Box::pin(owner.remove(volumes))).await {
            Err(error) if error.kind() == Kind::NotFound && options.force => Ok(()),
            other => other.map_err(within),
        }
    }
}

fn refusal(status: &Status) -> Error {
    match status {
        Status::Paused(_) => Error::conflict("container is paused and must be unpaused first"),
        other => Error::conflict(format!(
            "container is {}: stop the container before removing or force remove",
            other.word()
        )),
    }
}

impl Owner {
    async fn remove(&mut self, volumes: Volumes) -> Result<()> {
        if self.document.status.counts_as_running() {
            return Err(refusal(&self.document.status));
        }
        self.cancel_restart();
        self.apply(Event::RemoveAsked).await;
        self.take_away(volumes).await
    }

    /// Removes a `--rm` container that has ended or could not be started. The state on disk still says so if the
    /// daemon dies now, and the next one removes it.
    pub(super) async fn remove_ended(&mut self) {
        if self.keep {
            return;
        }
        if let Err(error) = self.take_away(Volumes::RemoveOwn).await {
            tracing::warn!(id = self.document.id, %error, "a container could not be removed");
            self.apply(Event::RemoveAsked).await;
            self.apply(Event::RemoveFailed(error.message().to_owned())).await;
        }
    }

    /// Begins to remove the files of a container that has ended, so that it goes on beside the end of its network.
    pub(super) fn begin_erasing(&mut self) {
        if let (None, Ok(engine)) = (&self.erasing, self.engine()) {
            let id = self.document.id.clone();
            self.erasing = Some(tokio::task::spawn_blocking(move || erase(&engine, &id)));
        }
    }

    /// Removes what there is of a container that does not run, whatever is missing already.
    pub(super) async fn take_away(&mut self, volumes: Volumes) -> Result<()> {
        let engine = self.engine()?;
        self.waiting.clear();
        let document = self.document.clone();
        self.begin_erasing();
        let erased = match self.erasing.take() {
            Some(erasing) => erasing.await.map_err(Error::failed("removing a container"))?,
            None => return Err(Error::system("removing a container: the engine is shutting down")),
        };
        if let Err(error) = erased {
            self.apply(Event::RemoveFailed(error.message().to_owned())).await;
            return Err(error);
        }
        engine.containers.index.remove(&document.id, &document.name);
        engine.execs.forget(&document.id);
        if volumes == Volumes::RemoveOwn && document.mounts.iter().any(|mount| mount.anonymous) {
            let (helper, mounts) = (Arc::clone(&engine), document.mounts.clone());
            let _ = tokio::task::spawn_blocking(move || remove_own(&helper, &mounts)).await;
        }
        self.removed = true;
        self.publish();
        self.announce(action::DESTROY, &[]);
        Ok(())
    }
}

/// Removes the volumes that a container made for itself.
fn remove_own(engine: &Engine, mounts: &[MountRecord]) {
    for name in mounts.iter().filter(|mount| mount.anonymous).filter_map(|mount| mount.volume()) {
        if let Err(error) = engine.volumes.remove_anonymous(engine, name) {
            tracing::warn!(name, %error, "a volume could not be removed");
        }
    }
}

/// Takes a container's files away. The directory goes last: as long as it is there, a new daemon knows what to remove.
pub(super) fn erase(engine: &Engine, id: &str) -> Result<()> {
    bundle::remove(&engine.config.bundle(id))?;
    engine
        .images
        .store()
        .snapshots()
        .remove(id)
        .map_err(|error| Error::system(format!("unable to remove filesystem: {error}")))?;
    match std::fs::remove_dir_all(engine.config.containers_dir().join(id)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::system(format!("unable to remove filesystem: {error}")))
        }
        _ => Ok(()),
    }
}
