//! Pause and unpause: a container's processes frozen and thawed.

use std::sync::Arc;

use barge_shim::Shim;

use super::Containers;
use super::lifecycle::{Event, Status};
use super::task::Owner;
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};

impl Containers {
    /// Freezes its processes.
    pub async fn pause(&self, _engine: &Arc<Engine>, id: &str) -> Result<()> {
        self.index.find(id)?.ask(|owner| Box::pin(owner.pause())).await
    }

    /// Thaws its processes.
    pub async fn unpause(&self, _engine: &Arc<Engine>, id: &str) -> Result<()> {
        self.index.find(id)?.ask(|owner| Box::pin(owner.unpause())).await
    }
}

impl Owner {
    async fn pause(&mut self) -> Result<()> {
        let id = &self.document.id;
        match self.document.status {
            Status::Running(_) => {}
            Status::Paused(_) => return Err(Error::conflict(format!("container {id} is already paused"))),
            Status::Restarting(_) => {
                return Err(Error::conflict(format!(
                    "container {id} is restarting, wait until the container is running"
                )));
            }
            _ => return Err(Error::conflict(format!("container {id} is not running"))),
        }
        let failed = |error| super::shim_error(&error).within(format!("cannot pause container {id}"));
        self.shim()?.pause().await.map_err(failed)?;
        self.apply(Event::Paused).await;
        Ok(())
    }

    /// Thaws a container whose end has been asked for. The shim thaws by itself for SIGKILL, and may be gone.
    pub(super) async fn thaw(&mut self, shim: &Shim) -> Result<()> {
        if let Err(error) = shim.unpause().await {
            let error = super::shim_error(&error);
            if error.kind() != Kind::Conflict {
                return Err(error);
            }
        }
        self.apply(Event::Unpaused).await;
        Ok(())
    }

    async fn unpause(&mut self) -> Result<()> {
        let id = &self.document.id;
        if !matches!(self.document.status, Status::Paused(_)) {
            return Err(Error::system(format!("Container {id} is not paused")));
        }
        let failed = |error| super::shim_error(&error).within(format!("Cannot unpause container {id}"));
        self.shim()?.unpause().await.map_err(failed)?;
        self.apply(Event::Unpaused).await;
        Ok(())
    }
}
