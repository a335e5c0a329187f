//! `pause` and `resume`: all processes of a container stand still, and go on.

use super::flags::{CONTAINER, Given, Syntax};
use super::state::{Container, Status};
use super::{Globals, Verb};
use crate::error::{Error, Result};

pub(super) const PAUSE: Verb =
    Verb::new(syntax("pause", "Stop all processes of a container where they are"), pause);
pub(super) const RESUME: Verb = Verb::new(syntax("resume", "Let a paused container go on"), resume);

const fn syntax(verb: &'static str, about: &'static str) -> Syntax {
    Syntax { verb, about, words: CONTAINER, count: (1, 1), open: false, flags: &[] }
}

fn pause(globals: &Globals, given: &Given) -> Result<u8> {
    let container = Container::load(&globals.root, &given.container()?)?;
    match container.status()? {
        Status::Created | Status::Running => container.cgroup()?.freeze().map(|()| 0),
        status @ (Status::Paused | Status::Stopped) => Err(container.wrong(status, "pause")),
    }
}

fn resume(globals: &Globals, given: &Given) -> Result<u8> {
    let container = Container::load(&globals.root, &given.container()?)?;
    match container.status()? {
        Status::Paused => container.cgroup()?.thaw().map(|()| 0),
        _ => Err(Error::Usage { reason: "container not paused".into() }),
    }
}
