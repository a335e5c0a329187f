//! A container whose init waits for the word to run its program.

use std::os::fd::OwnedFd;

use crate::{Cgroup, Result};

/// A container that is set up; its init waits.
///
/// The init is a child of the caller, who reaps it. When this is dropped before [`Created::start`], the init sees its
/// parent's end of the channel closed and leaves.
#[derive(Debug)]
pub struct Created {
    /// The init's pid as the caller sees it.
    pub pid: i32,
    /// A descriptor that becomes readable when the init has ended.
    pub pidfd: OwnedFd,
    /// The master of its terminal, if it has one.
    pub console: Option<OwnedFd>,
    /// The container's cgroup; the caller removes it at the end.
    pub cgroup: Cgroup,
    /// What could not be done as asked but does not stop the container, in words for its owner.
    pub warnings: Vec<String>,
}

impl Created {
    /// Lets init run the program and waits until it does, or until it says why it can't.
    pub fn start(&mut self) -> Result<()> {
        todo!()
    }
}
