//! `delete`: removes what a container leaves behind.

use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal;

use super::flags::{CONTAINER, Flag, Given, Syntax};
use super::state::{Container, Status, directory};
use super::{Globals, Verb, unfinished};
use crate::error::{Error, Result};

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "delete",
        about: "Remove what a container leaves behind",
        words: CONTAINER,
        count: (1, 1),
        open: false,
        flags: &[Flag::switch("force", "Kill it first if it runs; no error if there is none").or('f')],
    },
    delete,
);

fn delete(globals: &Globals, given: &Given) -> Result<u8> {
    let force = given.on("force")?;
    let id = given.container()?;
    let container = match Container::load(&globals.root, &id) {
        Err(Error::NoSuchContainer { .. } | Error::Document { .. }) if force => {
            return unfinished::clear(&directory(&globals.root, &id)?).map(|()| 0);
        }
        result => result?,
    };
    match container.status()? {
        Status::Stopped => {}
        status if !force && status != Status::Created => {
            return Err(container.wrong(status, "delete"));
        }
        _ => end(&container)?,
    }
    match container.remove()? || force {
        true => Ok(0),
        false => Err(Error::NoSuchContainer { id }),
    }
}

/// Kills everything in the container and waits until its init is gone.
pub(super) fn end(container: &Container) -> Result<()> {
    let signal = Signal::KILL.as_raw();
    let pid = container.document.pid;
    container.cgroup()?.signal_all(signal)?;
    match container.signal(signal) {
        Ok(()) => {}
        Err(Error::Signal { source, .. }) if source.errno() == Errno::SRCH.raw_os_error() => {}
        Err(error) => return Err(error),
    }
    for _ in 0..1000 {
        if container.stage()? == Status::Stopped {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(Error::Signal { signal, pid, source: Errno::TIMEDOUT.into() })
}
