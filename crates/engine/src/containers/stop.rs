//! Stop: ask, wait, kill.

use std::sync::Arc;
use std::time::Duration;

use barge_api::events::action;

use super::kill::kill_and_wait;
use super::spec::signals;
use super::task::{self, Container};
use super::{Containers, wait};
use crate::engine::Engine;
use crate::error::{Error, Kind, Result};

/// Seconds between asking and killing.
const DEFAULT_TIMEOUT: i64 = 10;

/// `POST /containers/{id}/stop` and `restart`.
#[derive(Clone, Debug, Default)]
pub struct StopOptions {
    /// Name or number; `None` takes the container's.
    pub signal: Option<String>,
    /// Seconds; -1 waits for ever; `None` takes the container's.
    pub timeout: Option<i64>,
}

impl Containers {
    /// Asks it to end, then kills it; [`Kind::NotModified`] if it does not run.
    pub async fn stop(&self, engine: &Arc<Engine>, id: &str, options: StopOptions) -> Result<()> {
        let container = self.index.find(id)?;
        if !container.view().document.status.counts_as_running() {
            return Err(Error::not_modified("container is already stopped"));
        }
        stop(engine, &container, &options).await.map_err(|error| match error.kind() {
            Kind::InvalidParameter => error,
            _ => error.within(format!("cannot stop container: {id}")),
        })
    }
}

/// Stops a container that runs; one that does not is stopped already.
pub(super) async fn stop(engine: &Engine, container: &Container, options: &StopOptions) -> Result<()> {
    let document = container.view().document;
    let config = &document.config;
    let configured = Some(config.stop_signal.as_str()).filter(|signal| !signal.is_empty());
    let signal = options.signal.as_deref().filter(|signal| !signal.is_empty()).or(configured);
    let signal = signal.map_or(Ok(signals::TERM), signals::parse)?;
    let timeout = options.timeout.or(config.stop_timeout).unwrap_or(DEFAULT_TIMEOUT);
    match container.ask(move |owner| Box::pin(owner.stop_signal(signal))).await {
        // It has ended by itself meanwhile.
        Err(error) if error.kind() == Kind::Conflict => return Ok(()),
        other => other?,
    }
    let mut watch = container.watch();
    let ended = wait::not_running(&mut watch);
    match u64::try_from(timeout) {
        Err(_) => ended.await,
        Ok(seconds) => {
            if tokio::time::timeout(Duration::from_secs(seconds), ended).await.is_err() {
                tracing::info!(id = container.id, signal, "a container did not end in time: killing it");
                match kill_and_wait(container).await {
                    Err(error) if error.kind() != Kind::Conflict => return Err(error),
                    _ => {}
                }
            }
        }
    }
    task::announce(engine, &document, action::STOP, &[]);
    Ok(())
}

impl task::Owner {
    /// The signal of a stop, which also thaws: a frozen process could not act on it.
    async fn stop_signal(&mut self, signal: i32) -> Result<()> {
        self.signal(signal).await?;
        if matches!(self.document.status, super::lifecycle::Status::Paused(_)) {
            let shim = self.shim()?;
            self.thaw(&shim).await?;
        }
        Ok(())
    }
}
