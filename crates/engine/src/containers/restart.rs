//! Restart by hand: stop, then start. What the restart policy does is `policy.rs`'s and the owner's.

use std::sync::Arc;

use barge_api::events::action;

use super::stop::stop;
use super::{Containers, StopOptions};
use crate::engine::Engine;
use crate::error::Result;

impl Containers {
    /// Stops it if it runs, and starts it.
    pub async fn restart(&self, engine: &Arc<Engine>, id: &str, options: StopOptions) -> Result<()> {
        let container = self.index.find(id)?;
        // Between its end and its start a container of `--rm` must not be removed.
        let keep = |kept: bool| {
            container.ask(move |owner| {
                owner.keep = kept;
                Box::pin(std::future::ready(Ok(())))
            })
        };
        keep(true).await?;
        let stopped = match container.view().document.status.counts_as_running() {
            true => stop(engine, &container, &options).await,
            false => Ok(()),
        };
        let started = match stopped {
            Ok(()) => container.ask(|owner| Box::pin(owner.start())).await,
            Err(error) => Err(error),
        };
        keep(false).await?;
        started.map_err(|error| error.within(format!("Cannot restart container {id}")))?;
        super::task::announce(engine, &container.view().document, action::RESTART, &[]);
        Ok(())
    }
}
