//! `pause` and `resume`: all processes of a container stand still, and go on.

use std::path::Path;

use clap::Args;

use super::state::{Container, Status};
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Container
    id: String,
}

pub(super) fn pause(root: &Path, arguments: &Arguments) -> Result<u8> {
    let container = Container::load(root, &arguments.id)?;
    match container.status() {
        Status::Created | Status::Running => container.cgroup()?.freeze().map(|()| 0),
        // As runc has it, which tools look for.
        Status::Paused | Status::Stopped => Err(Error::Usage { reason: "container not running".into() }),
    }
}

pub(super) fn resume(root: &Path, arguments: &Arguments) -> Result<u8> {
    let container = Container::load(root, &arguments.id)?;
    let cgroup = container.cgroup()?;
    // A container that is paused before its start is one that is created to `state`.
    if container.status() == Status::Stopped || !cgroup.is_frozen() {
        return Err(Error::Usage { reason: "container not paused".into() });
    }
    cgroup.thaw().map(|()| 0)
}
