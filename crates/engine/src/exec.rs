//! Further processes in running containers: create, start, inspect, resize.
//!
//! ```text
//! Created ─ start ─▶ Starting ─ shim ─▶ Running ─ ExecExited ─▶ Ended
//!                        └─ refused ─────────────────────────▶ Ended (126, 127)
//! ```
//!
//! They live in memory only, as in Docker: a new daemon forgets them, though their processes go on.

mod process;
mod start;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use barge_api::events::action;
use barge_api::exec::{ExecConfig, ExecCreateResponse, ExecInspect, ExecStartRequest, ProcessConfig};
use tokio::sync::watch;

use crate::containers::{exec_target, shim_error};
use crate::engine::Engine;
use crate::error::{Error, Result};

/// How long an ended exec can still be inspected.
const KEPT: Duration = Duration::from_secs(300);
/// How long a resize waits for a start that is under way, and an inspection for an end.
const PATIENCE: Duration = Duration::from_secs(1);
/// The exit code of an exec whose container ended under it.
const KILLED: i32 = 137;

/// All execs of one engine.
#[derive(Default)]
pub struct Execs {
    all: RwLock<HashMap<String, Arc<Exec>>>,
}

/// One exec.
pub(crate) struct Exec {
    id: String,
    container: String,
    config: ExecConfig,
    state: watch::Sender<State>,
}

/// Where an exec is in its life.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Created,
    Starting,
    Running { pid: i32 },
    Ended { pid: i32, code: i32, at: Instant },
}

impl Exec {
    fn is_over(&self) -> bool {
        matches!(*self.state.borrow(), State::Ended { .. })
    }

    /// Notes the end, once. False if it had ended already.
    fn end(&self, code: i32) -> bool {
        self.state.send_if_modified(|state| {
            let pid = match *state {
                State::Ended { .. } => return false,
                State::Running { pid } => pid,
                State::Created | State::Starting => 0,
            };
            *state = State::Ended { pid, code, at: Instant::now() };
            true
        })
    }

    /// Returns once its end is known, if its process is gone: a client that saw the end of its stream asks for the
    /// exit code before the shim's word of it has made its way here.
    async fn settled(&self) {
        let mut state = self.state.subscribe();
        // In vain if the shim died as well; then the exec ends with its container.
        let known = state.wait_for(|state| *state != State::Starting);
        let _ = tokio::time::timeout(PATIENCE, known).await;
        let gone = match *self.state.borrow() {
            State::Running { pid } => !std::path::Path::new(&format!("/proc/{pid}")).exists(),
            _ => false,
        };
        if gone {
            let ended = state.wait_for(|state| matches!(state, State::Ended { .. }));
            let _ = tokio::time::timeout(PATIENCE, ended).await;
        }
    }

    fn words(&self) -> Vec<String> {
        self.config.cmd.clone().unwrap_or_default()
    }

    fn announce(&self, engine: &Engine, action: &str, more: &[(&str, String)]) {
        if let Ok(container) = engine.containers.index.find(&self.container) {
            let mut attributes = vec![("execID", self.id.clone())];
            attributes.extend_from_slice(more);
            crate::containers::announce(engine, &container.view().document, action, &attributes);
        }
    }
}

impl Execs {
    /// No exec yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn find(&self, id: &str) -> Result<Arc<Exec>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.get(id).cloned().ok_or_else(|| Error::not_found(format!("No such exec instance: {id}")))
    }

    /// Registers a process to be started in a running container.
    pub async fn create(
        &self,
        engine: &Arc<Engine>,
        container: &str,
        config: ExecConfig,
    ) -> Result<ExecCreateResponse> {
        if config.cmd.as_ref().is_none_or(Vec::is_empty) {
            return Err(Error::invalid("No exec command specified"));
        }
        let keys = Some(config.detach_keys.as_str());
        crate::containers::detach_keys(keys)?;
        let document = exec_target(engine, container)?;
        let id = crate::containers::new_id();
        let exec = Exec {
            id: id.clone(),
            container: document.id.clone(),
            config,
            state: watch::Sender::new(State::Created),
        };
        exec.announce(engine, &format!("{}: {}", action::EXEC_CREATE, exec.words().join(" ")), &[]);
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        let old =
            |exec: &Exec| matches!(*exec.state.borrow(), State::Ended { at, .. } if at.elapsed() > KEPT);
        all.retain(|_, exec| !old(exec));
        all.insert(id.clone(), Arc::new(exec));
        Ok(ExecCreateResponse { id })
    }

    /// Whether the exec's stream is a terminal's (raw) or multiplexed; an error if it cannot be started. Called
    /// before the connection is hijacked, because afterwards no status can be sent.
    pub fn check_start(&self, engine: &Arc<Engine>, id: &str, request: &ExecStartRequest) -> Result<bool> {
        let exec = self.find(id)?;
        match *exec.state.borrow() {
            State::Created => {}
            State::Starting | State::Running { .. } => {
                return Err(Error::conflict(format!("exec command {id} is already running")));
            }
            State::Ended { .. } => {
                return Err(Error::conflict(format!("exec command {id} has already run")));
            }
        }
        exec_target(engine, &exec.container)?;
        if request.console_size.is_some() && !exec.config.tty {
            return Err(Error::invalid("console size is only supported with a TTY"));
        }
        Ok(exec.config.tty)
    }

    /// What became of it.
    pub async fn inspect(&self, _engine: &Arc<Engine>, id: &str) -> Result<ExecInspect> {
        let exec = self.find(id)?;
        exec.settled().await;
        let (running, exit_code, pid) = match *exec.state.borrow() {
            State::Created | State::Starting => (false, None, 0),
            State::Running { pid } => (true, None, pid),
            State::Ended { pid, code, .. } => (false, Some(code.into()), pid),
        };
        let config = &exec.config;
        let mut words = exec.words().into_iter();
        Ok(ExecInspect {
            id: exec.id.clone(),
            running,
            exit_code,
            process_config: ProcessConfig {
                tty: config.tty,
                entrypoint: words.next().unwrap_or_default(),
                arguments: words.collect(),
                privileged: Some(config.privileged),
                user: config.user.clone(),
            },
            open_stdin: config.attach_stdin,
            open_stderr: config.attach_stderr,
            open_stdout: config.attach_stdout,
            can_remove: exec.is_over(),
            container_id: exec.container.clone(),
            detach_keys: config.detach_keys.clone(),
            pid: pid.into(),
        })
    }

    /// Sets the size of its terminal, after waiting for a start that is under way.
    pub async fn resize(&self, engine: &Arc<Engine>, id: &str, rows: u16, cols: u16) -> Result<()> {
        let exec = self.find(id)?;
        let mut state = exec.state.subscribe();
        let started = state.wait_for(|state| !matches!(state, State::Created | State::Starting));
        let running = match tokio::time::timeout(PATIENCE, started).await {
            Ok(Ok(state)) => matches!(*state, State::Running { .. }),
            _ => false,
        };
        if !running {
            return Err(Error::conflict(format!("exec {id} is not running")));
        }
        let shim = crate::containers::shim_of(engine, &exec.container).await?;
        shim.resize(Some(&exec.id), cols, rows).await.map_err(|error| shim_error(&error))
    }

    /// A process has ended, says its shim.
    pub(crate) fn ended(&self, engine: &Engine, id: &str, code: i32) {
        let Ok(exec) = self.find(id) else { return };
        if exec.end(code) {
            exec.announce(engine, action::EXEC_DIE, &[("exitCode", code.to_string())]);
        }
    }

    /// A container has ended, and with it all that ran in it.
    pub(crate) fn container_ended(&self, engine: &Engine, container: &str) {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let running = |exec: &&Arc<Exec>| {
            exec.container == container && !matches!(*exec.state.borrow(), State::Created)
        };
        for exec in all.values().filter(running) {
            if exec.end(KILLED) {
                exec.announce(engine, action::EXEC_DIE, &[("exitCode", KILLED.to_string())]);
            }
        }
    }

    /// A container is gone.
    pub(crate) fn forget(&self, container: &str) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, exec| exec.container != container);
    }

    /// IDs of the execs of a container that have not ended.
    pub(crate) fn of(&self, container: &str) -> Vec<String> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        let own = all.values().filter(|exec| exec.container == container && !exec.is_over());
        own.map(|exec| exec.id.clone()).collect()
    }
}
