//! Resize: the size of a container's terminal.

use std::sync::Arc;

use barge_api::events::action;

use super::Containers;
use super::task::Owner;
use crate::engine::Engine;
use crate::error::Result;

impl Containers {
    /// Sets the size of its terminal.
    pub async fn resize(&self, engine: &Arc<Engine>, id: &str, rows: u16, cols: u16) -> Result<()> {
        let container = self.index.find(id)?;
        container.ask(move |owner| Box::pin(owner.resize(rows, cols))).await?;
        let size = [("height", rows.to_string()), ("width", cols.to_string())];
        super::task::announce(engine, &container.view().document, action::RESIZE, &size);
        Ok(())
    }
}

impl Owner {
    async fn resize(&mut self, rows: u16, cols: u16) -> Result<()> {
        self.shim()?.resize(None, cols, rows).await.map_err(|error| super::shim_error(&error))
    }
}
