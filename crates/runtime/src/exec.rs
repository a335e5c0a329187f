//! One more process in a running container.

use crate::{ExecRequest, Executed, Result};

/// Runs a process inside a running container; returns once its program runs.
pub fn exec(request: ExecRequest<'_>) -> Result<Executed> {
    let _ = request;
    todo!()
}
