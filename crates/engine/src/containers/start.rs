//! Start: from a document to a running process.
//!
//! ```text
//!            ┌─ blocking thread: namespace, endpoints, ports ─────────────────┐
//! launch ────┤                                                                ├─ hosts ─ shim: Start ─ Started
//!            └─ files, specification, shim spawned; it plans and makes cgroups ┘
//! ```
//!
//! The two sides overlap. An `Undo` stack holds what has been made; if anything fails all of it goes, the network too.

use std::sync::Arc;

use barge_shim::{Events, Kind, Shim, protocol};

use super::lifecycle::{Event, Failure, Run, Status};
use super::task::{Live, Owner};
use super::{Containers, bundle, etc, network};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::networks::{Attachment, Sandbox};
use crate::undo::Undo;

/// Why a start failed, for the client and for `State.ExitCode`.
#[derive(Debug)]
pub(super) struct StartError {
    error: Error,
    code: i32,
}

impl From<Error> for StartError {
    /// A reason of the host's or of another object's: Docker's exit code for it is 128.
    fn from(error: Error) -> Self {
        Self { error, code: 128 }
    }
}

impl Containers {
    /// Starts it; [`Kind::NotModified`](crate::Kind::NotModified) if it runs.
    pub async fn start(&self, _engine: &Arc<Engine>, id: &str) -> Result<()> {
        self.index.find(id)?.ask(|owner| Box::pin(owner.start())).await
    }
}

impl Owner {
    /// A start by hand: it forgets the restarts and stops before it.
    pub(super) async fn start(&mut self) -> Result<()> {
        match self.document.status {
            Status::Paused(_) => {
                return Err(Error::conflict("cannot start a paused container, try unpause instead"));
            }
            Status::Running(_) | Status::Restarting(_) => {
                return Err(Error::not_modified("container is already running"));
            }
            Status::Removing(_) | Status::Dead(_) => {
                return Err(Error::conflict("container is marked for removal and cannot be started"));
            }
            Status::Created { .. } | Status::Exited(_) => {}
        }
        self.document.restarts = 0;
        self.document.manually_stopped = false;
        self.launch().await
    }

    /// Starts a container that does not run.
    pub(super) async fn launch(&mut self) -> Result<()> {
        let engine = self.engine()?;
        self.cancel_restart();
        match self.try_launch(&engine).await {
            Ok((live, started)) => {
                for warning in &started.warnings {
                    tracing::warn!(id = self.document.id, warning, "started with a restriction");
                }
                self.live = Some(live);
                let pid = u32::try_from(started.pid).unwrap_or_default();
                self.apply(Event::Started(Run { pid, started_at: started.started_at })).await;
                Ok(())
            }
            Err(StartError { error, code }) => {
                self.waiting.clear();
                self.apply(Event::StartFailed(Failure { code, error: error.message().to_owned() })).await;
                if self.document.host_config.auto_remove {
                    self.remove_ended().await;
                }
                Err(error)
            }
        }
    }

    async fn try_launch(&mut self, engine: &Arc<Engine>) -> Result<(Live, protocol::Started), StartError> {
        let mut undo = Undo::new();
        match self.build(engine, &mut undo).await {
            Ok(launched) => {
                undo.commit();
                Ok(launched)
            }
            Err(error) => {
                // Taking things down blocks.
                let _ = tokio::task::spawn_blocking(move || undo.unwind()).await;
                Err(error)
            }
        }
    }

    async fn build(
        &mut self,
        engine: &Arc<Engine>,
        undo: &mut Undo,
    ) -> Result<(Live, protocol::Started), StartError> {
        let sandbox = network::begin(engine, &self.document)?;
        let prepared = bundle::prepare(engine, &self.document, undo);
        // Nobody reads these files before the shim is told to start.
        let files = etc::write_early(engine, &self.document);
        let sandbox = sandbox.finish().await;
        if let Ok(Some(sandbox)) = &sandbox {
            let attachments = sandbox.attachments.clone();
            let (engine, id) = (Arc::clone(engine), self.document.id.clone());
            undo.push("network", move || engine.networks.tear_down(&engine, &id, &attachments));
        }
        let (shim, mut events) = prepared?;
        match self.run_in(engine, &shim, sandbox.and_then(|sandbox| files.map(|()| sandbox))).await {
            Ok((attachments, started)) => Ok((Live { shim, events, attachments }, started)),
            Err(error) => {
                abandon(&shim, &mut events).await;
                Err(error)
            }
        }
    }

    /// The second half, once there is a shim.
    async fn run_in(
        &mut self,
        engine: &Engine,
        shim: &Shim,
        sandbox: Result<Option<Sandbox>>,
    ) -> Result<(Arc<Vec<Attachment>>, protocol::Started), StartError> {
        let (netns, held, attachments) = match sandbox? {
            Some(Sandbox { netns, held, attachments }) => (Some(netns), held, attachments),
            None => (None, Vec::new(), Vec::new()),
        };
        etc::write_hosts(engine, &self.document, &attachments)?;
        network::save(engine, &self.document.id, &attachments)?;
        self.hand_over_waiting(shim).await;
        let started = shim.start(netns, held).await.map_err(|error| refused(&error))?;
        Ok((Arc::new(attachments), started))
    }
}

/// Parts from a shim that will not be needed, and waits until it has cleaned up.
async fn abandon(shim: &Shim, events: &mut Events) {
    shim.abandon();
    while events.recv().await.is_some() {}
}

/// The shim's reason in the words of dockerd over containerd over runc, which clients search for what they know.
fn refused(error: &barge_shim::Error) -> StartError {
    const LAYERS: &str = "failed to create task for container: failed to create shim task: OCI runtime create failed: \
                          runc create failed: unable to start container process";
    let barge_shim::Error::Refused(failure) = error else {
        return Error::system(format!("{LAYERS}: {error}")).into();
    };
    let message = &failure.message;
    let text = format!("{LAYERS}: error during container init: {message}");
    let (error, code) = match failure.kind {
        Kind::ExecutableNotFound => (Error::invalid(format!("{text}: unknown")), 127),
        // The CLI looks for these words to exit with 126, also for a directory.
        Kind::ExecutableNotRunnable if message.contains("permission denied") => {
            (Error::invalid(format!("{text}: unknown")), 126)
        }
        Kind::ExecutableNotRunnable => (Error::invalid(format!("{text}: unknown: permission denied")), 126),
        Kind::Mount if message.contains("not a directory") => (
            Error::invalid(format!(
                "{text}: unknown: Are you trying to mount a directory onto a file (or vice-versa)? Check if the \
                 specified host path exists and is the expected type"
            )),
            127,
        ),
        Kind::Mount if message.contains("no such file or directory") => {
            (Error::invalid(format!("{text}: unknown")), 127)
        }
        Kind::User => (Error::system(message.clone()), 126),
        Kind::Invalid => (Error::invalid(format!("{text}: unknown")), 128),
        _ => (Error::system(format!("{text}: unknown")), 128),
    };
    StartError { error, code }
}

#[cfg(test)]
mod tests {
    use barge_shim::Failure;

    use super::*;

    #[test]
    fn refusals_carry_the_words_and_codes_that_clients_look_for() {
        let cases = [
            (
                Kind::ExecutableNotFound,
                "exec: \"foo\": executable file not found in $PATH",
                127,
                crate::Kind::InvalidParameter,
            ),
            (
                Kind::ExecutableNotRunnable,
                "exec: \"/x\": permission denied",
                126,
                crate::Kind::InvalidParameter,
            ),
            (
                Kind::ExecutableNotRunnable,
                "exec: \"/etc\": is a directory",
                126,
                crate::Kind::InvalidParameter,
            ),
            (Kind::System, "clone3: cannot allocate memory", 128, crate::Kind::System),
        ];
        for (kind, message, code, expected) in cases {
            let failure = Failure { kind, message: message.to_owned() };
            let found = refused(&barge_shim::Error::Refused(failure));
            assert_eq!((found.code, found.error.kind()), (code, expected), "{message}");
            assert!(found.error.message().contains(message));
            assert_eq!(found.error.message().contains("permission denied"), code == 126);
        }
    }
}
