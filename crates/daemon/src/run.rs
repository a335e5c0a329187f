//! The daemon's life, in order: configuration, locks, log, engine, sockets, signals, and the end.
//!
//! Ending is leaving: SIGTERM and SIGINT close the sockets and the process goes, but the containers stay. dockerd stops
//! them unless told `--live-restore`; here every container has a shim of its own that needs no daemon, so that an
//! upgrade or a crash of the daemon is none of theirs. Whoever wants them stopped stops them.

use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use barge_api::events::{EventType, action};
use barge_engine::Engine;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::Api;
use crate::config::{self, Asked, Config};
use crate::error::{Error, Result};
use crate::lock::PidFile;
use crate::log::{self, Level};
use crate::{listen, notify, serve};

/// Threads that serve connections. Requests mostly wait for shims, registries and disks.
const WORKERS: usize = 2;

/// Deep recursion is only in JSON, which serde bounds at 128 levels.
const STACK: usize = 512 << 10;

/// Threads for work that blocks: layers being unpacked, volumes being measured.
const BLOCKING: usize = 64;

/// How long work that blocks may go on after the daemon has ended.
const LAST_WORK: Duration = Duration::from_secs(2);

/// See [`crate::main`].
pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    match start(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Usage(usage)) => {
            let _ = usage.print();
            if usage.use_stderr() { ExitCode::from(125) } else { ExitCode::SUCCESS }
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}

fn start(args: Vec<OsString>) -> Result<()> {
    let config = match config::load(args)? {
        Asked::Version => return say(&format!("Barge version {}", env!("CARGO_PKG_VERSION"))),
        Asked::Run(config) if config.validate => return say("configuration OK"),
        Asked::Run(config) => config,
    };
    let level = log::start(config.log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let data_root = config.engine.data_root.clone();
    let _pidfile = PidFile::lock(&config.pidfile, &format!("pid file {}", config.pidfile.display()))?;
    let _data_root =
        PidFile::lock(&data_root.join("daemon.lock"), &format!("data root {}", data_root.display()))?;
    let runtime = runtime()?;
    let outcome = runtime.block_on(serve_until_told(&config, &level));
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}

fn say(text: &str) -> Result<()> {
    // Whoever closed our output does not want to read it.
    let _ = writeln!(std::io::stdout(), "{text}");
    Ok(())
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_stack_size(STACK)
        .max_blocking_threads(BLOCKING)
        .thread_keep_alive(Duration::from_secs(5))
        .enable_all()
        .build()
        .map_err(|source| Error::Runtime { source })
}

async fn serve_until_told(config: &Config, level: &Level) -> Result<()> {
    let signals = Signals::listen()?;
    let engine = Engine::open(config.engine.clone()).await.map_err(|source| Error::Engine { source })?;
    let api = Arc::new(Api::new(Arc::clone(&engine)));
    let (stop, stopped) = watch::channel(false);
    let mut servers = JoinSet::new();
    for listener in listen::open(config).await? {
        tracing::info!(address = listener.address(), "API listens");
        servers.spawn(serve::serve(listener, Arc::clone(&api), stopped.clone()));
    }
    notify::ready();
    tokio::select! {
        signal = signals.end(|| reload(config, &engine, level)) => tracing::info!(signal, "leaving; containers go on"),
        () = idle(config.idle_exit, &api, &engine) => tracing::info!("leaving: idle, and no container runs"),
    }
    notify::stopping();
    stop.send_replace(true);
    while servers.join_next().await.is_some() {}
    Ok(())
}

/// Returns when nothing has been asked for this long and no container runs; never without a limit.
async fn idle(limit: Option<Duration>, api: &Api, engine: &Engine) {
    let Some(limit) = limit else { return std::future::pending().await };
    loop {
        let counts = engine.containers.counts();
        if counts.running + counts.paused > 0 {
            api.activity.touch();
        }
        let idle = api.activity.idle();
        if idle >= limit {
            return;
        }
        tokio::time::sleep((limit - idle).max(Duration::from_millis(50))).await;
    }
}

/// Takes the parts of the configuration over that can change: the log's level.
fn reload(config: &Config, engine: &Engine, level: &Level) {
    match config.reload() {
        Ok(log) => {
            level.set(log.level);
            tracing::info!(level = %log.level, "configuration reloaded");
            engine.events.publish(EventType::Daemon, action::RELOAD, "", Default::default());
        }
        Err(error) => tracing::error!(%error, "the configuration stays as it was"),
    }
}

/// The signals that mean something to the daemon.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    /// dockerd writes its stacks on this one; scripts send it, and it must not end us.
    user: Signal,
}

impl Signals {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).map_err(|source| Error::Signals { source });
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hang_up: listen(SignalKind::hangup())?,
            user: listen(SignalKind::user_defined1())?,
        })
    }

    /// The name of the signal that ends the daemon; calls `reload` on each hang-up.
    async fn end(mut self, reload: impl Fn()) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hang_up.recv() => reload(),
                _ = self.user.recv() => {}
            }
        }
    }
}
