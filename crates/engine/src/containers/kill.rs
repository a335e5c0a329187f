//! Kill: a signal to a container's process.

use std::sync::Arc;
use std::time::Duration;

use barge_api::events::action;

use super::Containers;
use super::lifecycle::{Event, Status};
use super::spec::signals;
use super::task::{Container, Owner};
use super::wait;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// How long an end is waited for after SIGKILL.
const PATIENCE: Duration = Duration::from_secs(10);

impl Containers {
    /// Sends a signal, by name or number; `None` is SIGKILL, whose effect is waited for.
    pub async fn kill(&self, _engine: &Arc<Engine>, id: &str, signal: Option<&str>) -> Result<()> {
        let signal = signal.filter(|signal| !signal.is_empty()).map_or(Ok(signals::KILL), signals::parse)?;
        let container = self.index.find(id)?;
        if signal == signals::KILL {
            return kill_and_wait(&container).await;
        }
        container.ask(move |owner| Box::pin(owner.signal(signal))).await
    }
}

/// Kills a container and waits until it does not run.
pub(super) async fn kill_and_wait(container: &Container) -> Result<()> {
    container.ask(|owner| Box::pin(owner.signal(signals::KILL))).await?;
    let mut watch = container.watch();
    tokio::time::timeout(PATIENCE, wait::not_running(&mut watch))
        .await
        .map_err(|_| Error::system("tried to kill container, but did not receive an exit event"))
}

impl Owner {
    /// Sends a signal. Whoever sends one does not want the restart policy to bring the container back.
    pub(super) async fn signal(&mut self, signal: i32) -> Result<()> {
        if !self.document.status.counts_as_running() {
            return Err(Error::conflict(format!("container {} is not running", self.document.id)));
        }
        self.document.manually_stopped = true;
        self.persist();
        if matches!(self.document.status, Status::Restarting(_)) {
            self.cancel_restart();
            self.apply(Event::RestartCancelled).await;
            return Ok(());
        }
        let shim = self.shim()?;
        match shim.signal(signal, None).await {
            // The process has ended, and the news of it is on the way.
            Err(error) if super::is_gone(&error) => {}
            other => other.map_err(|error| super::shim_error(&error))?,
        }
        self.announce(action::KILL, &[("signal", signal.to_string())]);
        let stop_signal = signals::parse(&self.document.config.stop_signal).unwrap_or(signals::TERM);
        let ends = signal == signals::KILL || signal == stop_signal;
        if ends && matches!(self.document.status, Status::Paused(_)) {
            self.thaw(&shim).await?;
        }
        Ok(())
    }
}
