//! What a new daemon finds: containers that still run, that ended without it, that were half removed.
//!
//! ```text
//! containers/ID/container.json ─┬─ Removing ───────────▶ removed to the end
//!                               ├─ ran, shim answers ──▶ taken over
//!                               ├─ ran, exit.json ─────▶ ended as written there ─┐
//!                               ├─ ran, neither ───────▶ ended with 255          ├─▶ restart policy
//!                               └─ did not run ──────────────────────────────────┘
//! no container.json: never made to the end ─▶ erased
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use barge_shim::{ExitRecord, Shim, Status as ShimStatus};
use futures_util::StreamExt;
use futures_util::stream;

use super::document::{Document, ReadError};
use super::lifecycle::{Exit, Run, Status};
use super::policy::{self, Ended};
use super::task::{Container, Live};
use super::{Containers, bundle, network, remove};
use crate::clock;
use crate::engine::Engine;
use crate::error::{Error, Result};

/// What a shim leaves in a container's directory.
pub(super) const EXIT_FILE: &str = "exit.json";
/// Docker's exit code of a container whose end nobody saw.
const UNSEEN: i32 = 255;
/// How long a shim may take to say how its container is.
const PATIENCE: Duration = Duration::from_secs(5);
/// How many containers are looked at side by side.
const ABREAST: usize = 32;

/// What is to be done about a container once all of them are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Nothing,
    Start,
    Remove,
}

impl Containers {
    /// Reads `DATA_ROOT/containers`, connects to the shims that live and finishes what a dead daemon began.
    pub(crate) async fn restore(engine: &Arc<Engine>) -> Result<()> {
        let dir = engine.config.containers_dir();
        std::fs::create_dir_all(&dir).map_err(Error::failed(format!("making {}", dir.display())))?;
        let failed = || format!("reading {}", dir.display());
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(&dir).map_err(Error::failed(failed()))? {
            let entry = entry.map_err(Error::failed(failed()))?;
            ids.extend(entry.file_name().into_string().ok());
        }
        let found: Vec<_> = stream::iter(ids)
            .map(|id| restore_one(engine, id))
            .buffer_unordered(ABREAST)
            .filter_map(std::future::ready)
            .collect()
            .await;
        let running: Vec<_> = found
            .iter()
            .map(|(container, _)| (container.id.clone(), container.view()))
            .filter(|(_, view)| view.document.status.run().is_some())
            .map(|(id, view)| (id, view.attachments.to_vec()))
            .collect();
        let helper = Arc::clone(engine);
        let restored = tokio::task::spawn_blocking(move || helper.networks.restore(&running)).await;
        restored.map_err(Error::failed("restoring networks"))??;
        for (container, next) in found {
            match next {
                Next::Nothing => {}
                Next::Start => drop(tokio::spawn(async move { start_again(&container).await })),
                Next::Remove => drop(tokio::spawn(async move { finish_removal(&container).await })),
            }
        }
        Ok(())
    }
}

async fn start_again(container: &Container) {
    if let Err(error) = container.ask(|owner| Box::pin(owner.launch())).await {
        tracing::warn!(id = container.id, %error, "a container could not be started again");
    }
}

async fn finish_removal(container: &Container) {
    let removed = container.ask(|owner| Box::pin(owner.take_away(remove::Volumes::RemoveOwn))).await;
    if let Err(error) = removed {
        tracing::warn!(id = container.id, %error, "a container could not be removed");
    }
}

/// One container's directory. A document that cannot be read is left where it is: nothing is lost, only not shown.
async fn restore_one(engine: &Arc<Engine>, id: String) -> Option<(Arc<Container>, Next)> {
    let dir = engine.config.containers_dir().join(&id);
    let mut document = match Document::read(&dir) {
        Ok(document) => document,
        Err(ReadError::Missing) => {
            let (helper, id) = (Arc::clone(engine), id);
            let erased = tokio::task::spawn_blocking(move || remove::erase(&helper, &id)).await;
            if let Ok(Err(error)) = erased {
                tracing::warn!(%error, "a container that was never made could not be removed");
            }
            return None;
        }
        Err(error) => {
            tracing::error!(id, %error, "a container could not be restored");
            return None;
        }
    };
    if engine.containers.index.reserve(&document.name, &document.id).is_err() {
        tracing::error!(
            id,
            name = document.name,
            "two containers have one name: one is known by its ID only"
        );
    }
    let live = take_over(engine, &mut document, &dir).await;
    let next = next_for(&document, live.is_some());
    if let (Next::Nothing, Status::Restarting(exit)) = (next, &document.status) {
        document.status = Status::Exited(exit.clone());
        save(&document, &dir);
    }
    let container = Container::spawn(engine, document, live);
    engine.containers.index.insert(Arc::clone(&container));
    Some((container, next))
}

/// Finds out whether a container runs; changes its document to what is true.
async fn take_over(engine: &Arc<Engine>, document: &mut Document, dir: &Path) -> Option<Live> {
    if matches!(document.status, Status::Removing(_)) {
        return None;
    }
    let bundle = engine.config.bundle(&document.id);
    // A daemon that died in the middle of a start has not noted that the container runs: the bundle tells.
    let may_run = document.status.run().is_some() || bundle.exists();
    if !may_run {
        return None;
    }
    if let Some((live, status)) = connect(engine, document).await {
        document.status = status;
        save(document, dir);
        return Some(live);
    }
    let ran = document.status.run().is_some();
    if ran || dir.join(EXIT_FILE).exists() {
        document.status = Status::Exited(after_lost_shim(engine, document).await);
    }
    if let Err(error) = bundle::remove(&bundle) {
        tracing::warn!(id = document.id, %error, "a bundle could not be removed");
    }
    save(document, dir);
    None
}

fn save(document: &Document, dir: &Path) {
    if let Err(error) = document.write(dir) {
        tracing::error!(id = document.id, %error, "a container's state could not be saved");
    }
}

/// Connects to a shim that lives and whose container runs.
async fn connect(engine: &Engine, document: &Document) -> Option<(Live, Status)> {
    let (shim, events) = Shim::connect(&engine.config.bundle(&document.id)).ok()?;
    let state = tokio::time::timeout(PATIENCE, shim.state()).await.ok()?.ok()?;
    let pid = u32::try_from(state.pid).ok().filter(|pid| *pid > 0)?;
    let run = Run { pid, started_at: state.started_at.unwrap_or_else(clock::now) };
    let status = match state.status {
        // Its end is reported on this connection as soon as its output is written out.
        ShimStatus::Running | ShimStatus::Stopping => Status::Running(run),
        ShimStatus::Paused => Status::Paused(run),
        ShimStatus::Created => return None,
    };
    let attachments = Arc::new(network::load(engine, &document.id));
    Some((Live { shim, events, attachments }, status))
}

/// What is known of the end of a container whose shim does not answer. If it has not even left a record, what is left
/// of the container is killed.
pub(super) async fn after_lost_shim(engine: &Arc<Engine>, document: &Document) -> Exit {
    let path = engine.config.containers_dir().join(&document.id).join(EXIT_FILE);
    let record = std::fs::read(path).ok().and_then(|text| serde_json::from_slice::<ExitRecord>(&text).ok());
    if let Some(record) = record {
        return exit_of(&record);
    }
    let bundle = engine.config.bundle(&document.id);
    let reclaimed = tokio::task::spawn_blocking(move || barge_shim::client::reclaim(&bundle)).await;
    if let Ok(Err(error)) = reclaimed {
        tracing::debug!(id = document.id, %error, "nothing could be reclaimed of a lost container");
    }
    Exit {
        code: UNSEEN,
        started_at: document.status.run().map(|run| run.started_at),
        finished_at: Some(clock::now()),
        ..Exit::default()
    }
}

/// A shim's record in the engine's words.
pub(super) fn exit_of(record: &ExitRecord) -> Exit {
    Exit {
        code: record.exit_code,
        oom_killed: record.oom_killed,
        error: String::new(),
        started_at: Some(record.started_at),
        finished_at: Some(record.finished_at),
    }
}

/// What a restored container needs.
fn next_for(document: &Document, runs: bool) -> Next {
    let host_config = &document.host_config;
    match &document.status {
        _ if runs => Next::Nothing,
        Status::Removing(_) => Next::Remove,
        Status::Exited(_) | Status::Restarting(_) if host_config.auto_remove => Next::Remove,
        Status::Exited(exit) | Status::Restarting(exit) => {
            let ended = Ended {
                code: exit.code,
                manually_stopped: document.manually_stopped,
                restarts: document.restarts,
            };
            let again = policy::at_daemon_start(&host_config.restart_policy, ended);
            if again { Next::Start } else { Next::Nothing }
        }
        _ => Next::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(status: Status, policy: &str, auto_remove: bool, stopped: bool) -> Document {
        let mut document = Document::sample("abc");
        document.status = status;
        document.host_config.restart_policy.name = policy.to_owned();
        document.host_config.auto_remove = auto_remove;
        document.manually_stopped = stopped;
        document
    }

    #[test]
    fn what_a_new_daemon_does() {
        let exited = |code| Status::Exited(Exit { code, ..Exit::default() });
        let created = Status::Created { failure: None };
        let cases = [
            (document(created, "always", false, false), Next::Nothing),
            (document(exited(0), "no", false, false), Next::Nothing),
            (document(exited(0), "always", false, true), Next::Start),
            (document(exited(0), "unless-stopped", false, true), Next::Nothing),
            (document(exited(1), "unless-stopped", false, false), Next::Start),
            (document(exited(0), "on-failure", false, false), Next::Nothing),
            (document(exited(0), "no", true, false), Next::Remove),
            (document(Status::Removing(Exit::default()), "always", false, false), Next::Remove),
        ];
        for (document, next) in cases {
            assert_eq!(next_for(&document, false), next, "{:?}", document.status);
            assert_eq!(next_for(&document, true), Next::Nothing);
        }
    }
}
