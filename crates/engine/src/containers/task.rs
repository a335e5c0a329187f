//! One owner per container: a task with a queue, through which everything that changes the container goes.
//!
//! ```text
//! verbs (start.rs, kill.rs, …) ── jobs ──▶ Owner ── lifecycle::step ──▶ actions
//! shim's events, restart timer ──────────▶   │
//! readers (inspect, list, wait) ◀── watch ───┘  View
//! ```
//!
//! A job borrows the owner for as long as it runs, so no two changes of one container overlap, and no lock is ever
//! held over an await. What takes long on purpose (waiting for an end) happens outside, on the watch.

use std::sync::{Arc, Weak};
use std::time::Duration;

use barge_api::events::{EventType, action};
use barge_shim::{Shim, protocol};
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::attach::Waiting;
use super::document::Document;
use super::lifecycle::{self, Action, Event, Exit, Status};
use super::policy::{self, Backoff, Ended};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::networks::Attachment;

type Job = Box<dyn for<'a> FnOnce(&'a mut Owner) -> BoxFuture<'a, ()> + Send>;

/// A container, for everyone but its owner.
pub(crate) struct Container {
    pub(crate) id: String,
    jobs: mpsc::UnboundedSender<Job>,
    view: watch::Receiver<View>,
}

/// What can be seen of a container, as of its last change.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) document: Arc<Document>,
    pub(crate) attachments: Arc<Vec<Attachment>>,
    /// How often it has ended since this engine knows it.
    pub(crate) exits: u64,
    pub(crate) removed: bool,
}

/// The owner's side.
pub(super) struct Owner {
    engine: Weak<Engine>,
    pub(super) document: Document,
    /// The run under way.
    pub(super) live: Option<Live>,
    pub(super) backoff: Backoff,
    /// When the policy starts it again.
    restart_at: Option<Instant>,
    /// Clients that attached before the start.
    pub(super) waiting: Vec<Waiting>,
    /// The removal of its files, when it has begun already.
    pub(super) erasing: Option<JoinHandle<Result<()>>>,
    /// A restart by hand is under way: an end does not remove it, even with `--rm`.
    pub(super) keep: bool,
    exits: u64,
    pub(super) removed: bool,
    jobs: mpsc::UnboundedReceiver<Job>,
    view: watch::Sender<View>,
}

/// A run under way: its shim and its network.
pub(super) struct Live {
    pub(super) shim: Shim,
    pub(super) events: barge_shim::Events,
    pub(super) attachments: Arc<Vec<Attachment>>,
}

impl Container {
    /// Makes the owner of a container and sets it going.
    pub(super) fn spawn(engine: &Arc<Engine>, document: Document, live: Option<Live>) -> Arc<Self> {
        let (sender, jobs) = mpsc::unbounded_channel();
        let attachments = live.as_ref().map(|live| Arc::clone(&live.attachments)).unwrap_or_default();
        let view = View { document: Arc::new(document.clone()), attachments, exits: 0, removed: false };
        let id = document.id.clone();
        let (publisher, view) = watch::channel(view);
        let owner = Owner {
            engine: Arc::downgrade(engine),
            document,
            live,
            backoff: Backoff::default(),
            restart_at: None,
            waiting: Vec::new(),
            erasing: None,
            keep: false,
            exits: 0,
            removed: false,
            jobs,
            view: publisher,
        };
        tokio::spawn(owner.run());
        Arc::new(Self { id, jobs: sender, view })
    }

    /// The container as of its last change.
    pub(crate) fn view(&self) -> View {
        self.view.borrow().clone()
    }

    /// To be told of changes.
    pub(crate) fn watch(&self) -> watch::Receiver<View> {
        self.view.clone()
    }

    /// Queues a job and waits for its outcome. The job is carried out even if the caller goes away.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        job: impl for<'a> FnOnce(&'a mut Owner) -> BoxFuture<'a, Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (reply, outcome) = oneshot::channel();
        let job: Job = Box::new(move |owner| {
            let work = job(owner);
            // A caller that has gone needs no outcome.
            Box::pin(async move { drop(reply.send(work.await)) })
        });
        let gone = || Error::not_found(format!("No such container: {}", self.id));
        self.jobs.send(job).map_err(|_| gone())?;
        outcome.await.unwrap_or_else(|_| Err(gone()))
    }
}

impl Owner {
    async fn run(mut self) {
        while !self.removed {
            tokio::select! {
                job = self.jobs.recv() => match job {
                    Some(job) => job(&mut self).await,
                    // The engine is gone; the container and its shim are not.
                    None => return,
                },
                event = next_event(&mut self.live) => self.on_shim_event(event).await,
                () = due(self.restart_at) => self.restart_by_policy().await,
            }
        }
    }

    /// The engine, unless it is being closed.
    pub(super) fn engine(&self) -> Result<Arc<Engine>> {
        let closing = || Error::new(crate::Kind::Unavailable, "the engine is shutting down");
        self.engine.upgrade().ok_or_else(closing)
    }

    /// The shim of the run under way.
    pub(super) fn shim(&self) -> Result<Shim> {
        let stopped = || Error::conflict(format!("container {} is not running", self.document.id));
        self.live.as_ref().map(|live| live.shim.clone()).ok_or_else(stopped)
    }

    /// The only place where a status changes. False if the event does not apply.
    pub(super) async fn apply(&mut self, event: Event) -> bool {
        let ended = matches!(event, Event::Ended(..));
        let Some((status, actions)) = lifecycle::step(&self.document.status, event) else { return false };
        self.document.status = status;
        if ended {
            self.exits += 1;
        }
        if actions.contains(&Action::Remove) && !self.keep {
            self.begin_erasing();
        }
        for action in actions {
            match action {
                Action::Release => self.release().await,
                Action::Persist => self.persist(),
                Action::Announce(name) => {
                    // Who hears the event must see the state it tells of.
                    self.publish();
                    self.announce_change(name);
                }
                Action::ScheduleRestart => self.schedule_restart(),
                Action::Remove => Box::pin(self.remove_ended()).await,
            }
        }
        self.publish();
        true
    }

    /// Shows the present state to all who watch.
    pub(super) fn publish(&self) {
        let attachments = self.live.as_ref().map(|live| Arc::clone(&live.attachments)).unwrap_or_default();
        let document = Arc::new(self.document.clone());
        let view = View { document, attachments, exits: self.exits, removed: self.removed };
        self.view.send_replace(view);
    }

    /// Writes the document. A failure is told and lived with: the state in memory stays the true one.
    pub(super) fn persist(&self) {
        let Ok(engine) = self.engine() else { return };
        let dir = engine.config.containers_dir().join(&self.document.id);
        if let Err(error) = self.document.write(&dir) {
            tracing::error!(id = self.document.id, %error, "a container's state could not be saved");
        }
    }

    /// Tells an event of this container.
    pub(super) fn announce(&self, name: &str, more: &[(&str, String)]) {
        if let Ok(engine) = self.engine() {
            announce(&engine, &self.document, name, more);
        }
    }

    fn announce_change(&self, name: &str) {
        if name != action::DIE {
            return self.announce(name, &[]);
        }
        let exit = self.document.status.last_exit();
        if exit.oom_killed {
            self.announce(action::OOM, &[]);
        }
        let lasted = lasted(&exit).as_secs();
        let more = [("exitCode", exit.code.to_string()), ("execDuration", lasted.to_string())];
        self.announce(action::DIE, &more);
    }

    async fn on_shim_event(&mut self, event: Option<protocol::Event>) {
        let id = &self.document.id;
        match event {
            Some(protocol::Event::Exited(record)) => {
                let exit = super::restore::exit_of(&record);
                self.ended(exit).await;
            }
            Some(protocol::Event::ExecExited { id, exit_code }) => {
                if let Ok(engine) = self.engine() {
                    engine.execs.ended(&engine, &id, exit_code);
                }
            }
            Some(protocol::Event::Detached { exec, .. }) => match exec {
                None => self.announce(action::DETACH, &[]),
                Some(exec) => self.announce(action::EXEC_DETACH, &[("execID", exec)]),
            },
            Some(protocol::Event::OutOfMemory) => {
                tracing::debug!(id, "a process was killed for want of memory")
            }
            None => {
                tracing::warn!(id, "the shim of a running container is gone");
                let exit = match self.engine() {
                    Ok(engine) => super::restore::after_lost_shim(&engine, &self.document).await,
                    Err(_) => return,
                };
                self.ended(exit).await;
            }
        }
    }

    /// The process has ended: what follows is the restart policy's.
    async fn ended(&mut self, exit: Exit) {
        let ended = Ended {
            code: exit.code,
            manually_stopped: self.document.manually_stopped,
            restarts: self.document.restarts,
        };
        let host_config = &self.document.host_config;
        let then = policy::after_end(&host_config.restart_policy, host_config.auto_remove, ended);
        if let Ok(engine) = self.engine() {
            engine.execs.container_ended(&engine, &self.document.id);
        }
        self.apply(Event::Ended(exit, then)).await;
    }

    /// Takes down what the run had: network and bundle. The shim has left.
    async fn release(&mut self) {
        let Some(live) = self.live.take() else { return };
        let Ok(engine) = self.engine() else { return };
        let id = self.document.id.clone();
        let erasing = self.erasing.is_some();
        let released = tokio::task::spawn_blocking(move || {
            if let Err(error) = engine.networks.tear_down(&engine, &id, &live.attachments) {
                tracing::warn!(id, %error, "a container's network could not be removed");
            }
            if erasing { Ok(()) } else { super::bundle::remove(&engine.config.bundle(&id)) }
        });
        if let Ok(Err(error)) = released.await {
            tracing::warn!(id = self.document.id, %error, "a container's bundle could not be removed");
        }
    }

    fn schedule_restart(&mut self) {
        let pause = self.backoff.next(lasted(&self.document.status.last_exit()));
        self.restart_at = Some(Instant::now() + pause);
    }

    /// Forgets the restart that was due.
    pub(super) fn cancel_restart(&mut self) {
        self.restart_at = None;
    }

    async fn restart_by_policy(&mut self) {
        self.restart_at = None;
        if matches!(self.document.status, Status::Restarting(_)) {
            self.document.restarts += 1;
            if let Err(error) = self.launch().await {
                tracing::warn!(id = self.document.id, %error, "a container could not be restarted");
            }
        }
    }
}

/// How long a run lasted.
fn lasted(exit: &Exit) -> Duration {
    let span = exit.finished_at.zip(exit.started_at).map(|(end, start)| end.duration_since(start));
    span.and_then(|span| Duration::try_from(span).ok()).unwrap_or_default()
}

/// Tells an event of a container, with the attributes dockerd gives it.
pub(crate) fn announce(engine: &Engine, document: &Document, name: &str, more: &[(&str, String)]) {
    let mut attributes = document.config.labels.clone();
    attributes.insert("image".to_owned(), document.config.image.clone());
    attributes.insert("name".to_owned(), document.name.clone());
    attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    engine.events.publish(EventType::Container, name, &document.id, attributes);
}

async fn next_event(live: &mut Option<Live>) -> Option<protocol::Event> {
    match live {
        Some(live) => live.events.recv().await,
        None => std::future::pending().await,
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
