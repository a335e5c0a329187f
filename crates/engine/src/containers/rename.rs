//! Rename: another name for the same container.

use std::sync::Arc;

use barge_api::events::action;

use super::task::Owner;
use super::{Containers, names};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Containers {
    /// Gives it another name.
    pub async fn rename(&self, engine: &Arc<Engine>, id: &str, name: &str) -> Result<()> {
        if name.is_empty() {
            return Err(Error::invalid("Neither old nor new names may be empty"));
        }
        let name =
            names::check(name).map_err(|error| error.within("Error when allocating new name"))?.to_owned();
        let container = self.index.find(id)?;
        if container.view().document.name == name {
            return Err(Error::invalid("Renaming a container with the same name as its current name"));
        }
        self.index
            .reserve(&name, &container.id)
            .map_err(|error| error.within("Error when allocating new name"))?;
        let new = name.clone();
        let renamed = container.ask(move |owner| Box::pin(owner.rename(new))).await;
        match &renamed {
            Ok(old) => self.index.release(old, &container.id),
            Err(_) => self.index.release(&name, &container.id),
        }
        let old = renamed?;
        let document = container.view().document;
        super::task::announce(engine, &document, action::RENAME, &[("oldName", format!("/{old}"))]);
        Ok(())
    }
}

impl Owner {
    /// Takes the new name over; answers the old one.
    async fn rename(&mut self, name: String) -> Result<String> {
        let old = std::mem::replace(&mut self.document.name, name);
        self.persist();
        self.publish();
        Ok(old)
    }
}
