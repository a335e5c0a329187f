//! `delete`: removes what a container leaves behind.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use rustix::io::Errno;
use rustix::process::Signal;

use super::state::{Container, Status};
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Kill it first if it runs; no error if there is none
    #[arg(long, short)]
    force: bool,
    /// Container
    id: String,
}

pub(super) fn delete(root: &Path, arguments: &Arguments) -> Result<u8> {
    let container = match Container::load(root, &arguments.id) {
        Err(Error::NoSuchContainer { .. }) if arguments.force => return Ok(0),
        result => result?,
    };
    match container.status() {
        Status::Stopped => {}
        status if !arguments.force && status != Status::Created => {
            return Err(container.wrong(status, "delete"));
        }
        _ => end(&container)?,
    }
    container.remove()?;
    Ok(0)
}

/// Kills everything in the container and waits until its init is gone.
fn end(container: &Container) -> Result<()> {
    let signal = Signal::KILL.as_raw();
    let pid = container.document.pid;
    container.cgroup()?.signal_all(signal)?;
    match container.signal(signal) {
        Ok(()) => {}
        Err(Error::Signal { source, .. }) if source.errno() == Errno::SRCH.raw_os_error() => {}
        Err(error) => return Err(error),
    }
    for _ in 0..1000 {
        if container.status() == Status::Stopped {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(Error::Signal { signal, pid, source: Errno::TIMEDOUT.into() })
}
