//! What has been built so far, so that a failure can take it down again.
//!
//! Each step of a build-up pushes its undoing. `commit` forgets them; `unwind`, or dropping the stack on an early
//! return, runs them from the newest to the oldest. One that fails does not stop the others.

use crate::error::Result;

type Step = Box<dyn FnOnce() -> Result<()> + Send>;

/// A stack of undoings. They block: unwind where blocking is allowed.
#[derive(Default)]
pub(crate) struct Undo {
    steps: Vec<(&'static str, Step)>,
}

impl Undo {
    /// An empty stack.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the undoing of the step just done; `what` names it in the log, should it fail.
    pub(crate) fn push(&mut self, what: &'static str, step: impl FnOnce() -> Result<()> + Send + 'static) {
        self.steps.push((what, Box::new(step)));
    }

    /// Everything was built: nothing is to be undone.
    pub(crate) fn commit(mut self) {
        self.steps.clear();
    }

    /// Undoes every step, newest first.
    pub(crate) fn unwind(mut self) {
        self.run();
    }

    fn run(&mut self) {
        while let Some((what, step)) = self.steps.pop() {
            if let Err(error) = step() {
                tracing::warn!(what, %error, "clean-up failed");
            }
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        self.run();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::error::Error;

    fn recording(undo: &mut Undo, seen: &Arc<Mutex<Vec<u8>>>, number: u8, result: Result<()>) {
        let seen = Arc::clone(seen);
        undo.push("step", move || {
            seen.lock().unwrap().push(number);
            result
        });
    }

    #[test]
    fn unwinds_newest_first_and_goes_on_after_a_failure() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut undo = Undo::new();
        recording(&mut undo, &seen, 1, Ok(()));
        recording(&mut undo, &seen, 2, Err(Error::system("no")));
        recording(&mut undo, &seen, 3, Ok(()));
        undo.unwind();
        assert_eq!(*seen.lock().unwrap(), [3, 2, 1]);
    }

    #[test]
    fn an_early_return_unwinds_and_a_commit_does_not() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut undo = Undo::new();
        recording(&mut undo, &seen, 1, Ok(()));
        drop(undo);
        let mut undo = Undo::new();
        recording(&mut undo, &seen, 2, Ok(()));
        undo.commit();
        assert_eq!(*seen.lock().unwrap(), [1]);
    }
}
