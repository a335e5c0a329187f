//! `events`: what a container uses, again and again, and each want of memory, one JSON object a line.
//!
//! What is in a reading is decided by `cgroup/report.rs`.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::json;

use super::flags::{CONTAINER, Flag, Given, Syntax};
use super::state::{Container, Status};
use super::{Globals, Verb, print};
use crate::error::{Error, Result};

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "events",
        about: "Print what a container uses, and each want of memory",
        words: CONTAINER,
        count: (1, 1),
        open: false,
        flags: &[
            Flag::with(
                "interval",
                "duration",
                "Time between two readings, such as 5s or 1m30s (default: 5s)",
            ),
            Flag::switch("stats", "Print one reading and end"),
        ],
    },
    events,
);

fn events(globals: &Globals, given: &Given) -> Result<u8> {
    let every = given.text("interval")?;
    let every = interval(every.as_deref().unwrap_or("5s")).map_err(|reason| Error::Usage { reason })?;
    let container = Container::load(&globals.root, &given.container()?)?;
    if container.stage()? == Status::Stopped {
        return Err(Error::Usage {
            reason: format!("container with id {} is not running", container.document.id),
        });
    }
    if given.on("stats")? {
        print(&reading(&container)?)?;
        return Ok(0);
    }
    follow(&container, every)
}

fn reading(container: &Container) -> Result<String> {
    let data = container.cgroup()?.report();
    Ok(json!({"type": "stats", "id": container.document.id, "data": data}).to_string())
}

/// Ends with the container.
fn follow(container: &Container, interval: Duration) -> Result<u8> {
    let failed = |operation: &'static str| {
        move |errno: rustix::io::Errno| Error::File {
            operation: operation.into(),
            path: "events".into(),
            source: errno.into(),
        }
    };
    let Some(pid) = Pid::from_raw(container.document.pid) else { return Ok(0) };
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH | rustix::io::Errno::INVAL) => return Ok(0),
        opened => opened.map_err(failed("watch the process of"))?,
    };
    let mut memory = container.cgroup()?.watch_oom()?;
    let mut next = Instant::now() + interval;
    // Asked after the descriptor was opened: it is that of this container.
    while container.stage()? != Status::Stopped {
        let left = next.saturating_duration_since(Instant::now());
        let mut watched = vec![PollFd::from_borrowed_fd(process.as_fd(), PollFlags::IN)];
        watched.extend(memory.as_ref().map(|m| PollFd::from_borrowed_fd(m.as_fd(), PollFlags::IN)));
        match poll(&mut watched, Timespec::try_from(left).ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(failed("wait for")(errno)),
        }
        if memory.as_mut().is_some_and(crate::cgroup::OomWatch::happened) {
            print(&json!({"type": "oom", "id": container.document.id}).to_string())?;
        }
        if Instant::now() >= next {
            print(&reading(container)?)?;
            next = Instant::now() + interval;
        }
    }
    Ok(0)
}

/// A duration as Go writes it: numbers with units, one after the other.
fn interval(text: &str) -> std::result::Result<Duration, String> {
    const WRONG: &str = "duration interval must be greater than 0";
    let mut total = 0f64;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or("missing unit in duration")?;
        let number: f64 = rest[..end].parse().map_err(|_| WRONG)?;
        let after = &rest[end..];
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        total += number
            * match &after[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" => 1e-6,
                "ns" => 1e-9,
                unit => return Err(format!("unknown unit {unit:?} in duration")),
            };
        rest = &after[end..];
    }
    match Duration::try_from_secs_f64(total) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(WRONG.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_gos_durations() {
        for (text, expected) in [
            ("5s", Some(5000)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1500)),
            ("100ms", Some(100)),
            ("0s", None),
            ("-1s", None),
            ("5", None),
            ("5 parsecs", None),
            ("", None),
        ] {
            assert_eq!(interval(text).ok(), expected.map(Duration::from_millis), "{text}");
        }
    }
}
