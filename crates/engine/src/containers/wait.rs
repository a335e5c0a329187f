//! Wait: for a container's end, the next one, or its removal.

use std::future::Future;

use barge_api::containers::{WaitCondition, WaitError, WaitResponse};
use tokio::sync::watch;

use super::Containers;
use super::task::View;
use crate::error::Result;

impl Containers {
    /// Registers a wait before it returns, so that nothing is missed between this call and the future's first poll.
    pub fn wait(
        &self,
        id: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = WaitResponse> + Send + 'static + use<>> {
        let mut watch = self.index.find(id)?.watch();
        let exits = watch.borrow_and_update().exits;
        Ok(async move { until(&mut watch, move |view| holds(view, condition, exits)).await })
    }
}

/// Whether what is waited for has come; `exits` is the count when the wait began.
fn holds(view: &View, condition: WaitCondition, exits: u64) -> bool {
    let met = match condition {
        WaitCondition::NotRunning => !view.document.status.counts_as_running(),
        WaitCondition::NextExit => view.exits > exits,
        WaitCondition::Removed => false,
    };
    met || view.removed
}

async fn until(watch: &mut watch::Receiver<View>, met: impl FnMut(&View) -> bool) -> WaitResponse {
    match watch.wait_for(met).await {
        Ok(view) => {
            let exit = view.document.status.last_exit();
            WaitResponse { error: None, status_code: exit.code.into() }
        }
        Err(_) => {
            let message = "the engine is shutting down".to_owned();
            WaitResponse { error: Some(WaitError { message }), status_code: -1 }
        }
    }
}

/// Waits until a container does not run.
pub(super) async fn not_running(watch: &mut watch::Receiver<View>) {
    until(watch, |view| holds(view, WaitCondition::NotRunning, 0)).await;
}
