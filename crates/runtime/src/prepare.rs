//! What can be done for a container before its network and its streams are there.

use crate::{Created, Inputs, Request, Result};

/// A container whose plan is made, whose cgroups exist with their limits and whose seccomp filter is at hand.
///
/// Dropped without [`Prepared::create`], it removes its cgroups again.
#[derive(Debug)]
pub struct Prepared {}

impl Prepared {
    /// Checks and plans the request, makes the cgroups and finds or compiles the seccomp filter.
    pub fn new(request: Request) -> Result<Self> {
        let _ = request;
        todo!()
    }

    /// Clones the container's init and waits until it has everything but its program running.
    pub fn create(self, inputs: Inputs) -> Result<Created> {
        let _ = inputs;
        todo!()
    }
}
