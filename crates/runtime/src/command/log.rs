//! Where the command says what went wrong: the file of `--log`, for programs, or standard error, for people.
//!
//! Entries look as runc writes them, one a line; containerd and conmon read the last one of level `error`:
//!
//! ```text
//! time="2026-01-02T03:04:05Z" level=warning msg="…"
//! {"level":"error","msg":"…","time":"2026-01-02T03:04:05Z"}
//! ```
//!
//! The file is opened for each entry, so that a command without any leaves none behind and holds no descriptor.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::sync::OnceLock;

/// How much of it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warning,
    Debug,
}

impl Level {
    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Debug => "debug",
        }
    }
}

/// What an entry looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Format {
    #[default]
    Text,
    Json,
}

/// Where entries go.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) file: Option<PathBuf>,
    pub(super) format: Format,
    pub(super) debug: bool,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// Sends entries to `log` from now on; before, they go to standard error.
pub(super) fn begin(log: Log) {
    // The command line is read once.
    let _ = LOG.set(log);
}

/// Says why the command failed; to people too, when programs read the log.
pub(super) fn error(message: &str) {
    if entry(Level::Error, message) {
        // There is nobody else to tell.
        let _ = writeln!(std::io::stderr(), "{message}");
    }
}

/// Says what went wrong and stops nothing.
pub(super) fn warn(message: &str) {
    entry(Level::Warning, message);
}

/// Says what the container has to do without. Standard error is the container's own by then, and nothing of ours belongs
/// there unless it is asked for.
pub(super) fn note(message: &str) {
    if LOG.get().is_some_and(|log| log.debug || log.file.is_some()) {
        entry(Level::Warning, message);
    }
}

/// Says what only those want to know who look for a fault.
pub(super) fn debug(message: &str) {
    if LOG.get().is_some_and(|log| log.debug) {
        entry(Level::Debug, message);
    }
}

/// Whether it went to a file.
fn entry(level: Level, message: &str) -> bool {
    let time = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    if let Some(log) = LOG.get()
        && let Some(file) = &log.file
        && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(file)
        && file.write_all(line(log.format, level, message, &time).as_bytes()).is_ok()
    {
        return true;
    }
    let text = match LOG.get().map_or(Format::Text, |log| log.format) {
        Format::Text => format!("barge runtime: {}: {message}\n", level.word()),
        json => line(json, level, message, &time),
    };
    let _ = std::io::stderr().write_all(text.as_bytes());
    false
}

fn line(format: Format, level: Level, message: &str, time: &str) -> String {
    let level = level.word();
    match format {
        Format::Text => format!("time={time:?} level={level} msg={message:?}\n"),
        Format::Json => format!("{}\n", serde_json::json!({ "level": level, "msg": message, "time": time })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_those_of_runc() {
        let time = "2026-01-02T03:04:05Z";
        assert_eq!(
            line(Format::Text, Level::Warning, "a \"b\"\nc", time),
            "time=\"2026-01-02T03:04:05Z\" level=warning msg=\"a \\\"b\\\"\\nc\"\n"
        );
        assert_eq!(
            line(Format::Json, Level::Error, "a \"b\"\nc", time),
            "{\"level\":\"error\",\"msg\":\"a \\\"b\\\"\\nc\",\"time\":\"2026-01-02T03:04:05Z\"}\n"
        );
    }
}
