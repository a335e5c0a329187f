//! The daemon's own log, on standard error: what systemd, a terminal or a test's file collects.
//!
//! Containers' logs are no business of this module: their shims write them.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, reload};

use crate::config::Log;

/// Sets the level of the running log.
pub(crate) struct Level(reload::Handle<Targets, tracing_subscriber::Registry>);

/// Starts the log of this process. A second start keeps the first log: in-process tests share it.
pub(crate) fn start(log: Log) -> Level {
    let (targets, handle) = reload::Layer::new(targets(log.level));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines = if log.json {
        lines.json().boxed()
    } else {
        lines.with_ansi(log.colours && std::io::stderr().is_terminal()).boxed()
    };
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
    Level(handle)
}

impl Level {
    /// Logs from `level` on from now on.
    pub(crate) fn set(&self, level: LevelFilter) {
        // Fails only when the log is gone, and then there is nobody to tell.
        let _ = self.0.reload(targets(level));
    }
}

/// Our own crates at `level`; what is below HTTP speaks up only when something is wrong.
fn targets(level: LevelFilter) -> Targets {
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("barge", level)
}
