//! `start`: lets a created container run its program.

use std::path::Path;

use clap::Args;
use rustix::fs::{Mode, OFlags};

use super::state::{Container, FIFO, Status};
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Container
    id: String,
}

pub(super) fn start(root: &Path, arguments: &Arguments) -> Result<u8> {
    let container = Container::load(root, &arguments.id)?;
    match container.status() {
        Status::Created => {}
        other => return Err(container.wrong(other, "start")),
    }
    let path = container.directory.join(FIFO);
    let failed = |operation: &'static str| {
        let path = path.clone();
        move |errno: rustix::io::Errno| Error::File {
            operation: operation.into(),
            path: path.clone(),
            source: errno.into(),
        }
    };
    // Without a reader (init has died meanwhile) this fails at once.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fifo = rustix::fs::open(&path, flags, Mode::empty()).map_err(failed("open"))?;
    // Removed first: from here on the container counts as running, and nobody else can start it.
    rustix::fs::unlink(&path).map_err(failed("remove"))?;
    rustix::io::write(&fifo, b"s").map_err(failed("write"))?;
    Ok(0)
}
