//! How an attached command ends: with the container's output and its status, also when the daemon dies meanwhile.
//!
//! A container and its streams outlive the daemon, but a request that waits for its status does not. When that
//! request is cut off it is made again, as soon as and as often as a daemon answers, while the output goes on.

use std::cell::Cell;
use std::time::Duration;

use barge_api::containers::{WaitCondition, WaitResponse};
use barge_client::{Client, Waiting};

use crate::failure::{Failure, REFUSED, Result};
use crate::stream::Ended;

/// How long the status may still come from another daemon once the output has ended.
const PATIENCE: Duration = Duration::from_secs(30);

/// Between two tries to reach a daemon.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits for the output's end and the container's, and takes over its status.
pub(super) async fn finish(
    client: &Client,
    id: &str,
    condition: WaitCondition,
    copying: impl Future<Output = Result<Ended>>,
    waiting: Waiting<'_>,
) -> Result<()> {
    let lost = Cell::new(false);
    let mut ending = std::pin::pin!(outlast(client, id, condition, waiting, &lost));
    let mut copying = std::pin::pin!(copying);
    let mut status = None;
    loop {
        tokio::select! {
            biased;
            copied = &mut copying => match copied? {
                Ended::Detached => return Ok(()),
                Ended::Closed => break,
            },
            response = &mut ending, if status.is_none() => status = Some(response),
        }
    }
    let response = match status {
        Some(response) => response,
        None if lost.get() => match tokio::time::timeout(PATIENCE, ending).await {
            Ok(response) => response,
            Err(_) => return Err(unknown(id, "no daemon answers")),
        },
        None => ending.await,
    };
    exit_status(response?)
}

/// The container's status, from whichever daemon tells it. Sets `lost` when it is not the first one.
async fn outlast(
    client: &Client,
    id: &str,
    condition: WaitCondition,
    waiting: Waiting<'_>,
    lost: &Cell<bool>,
) -> Result<WaitResponse> {
    let mut outcome = waiting.ended().await;
    // The next exit may have been while nobody was there to tell of it.
    let condition = match condition {
        WaitCondition::Removed => WaitCondition::Removed,
        _ => WaitCondition::NotRunning,
    };
    loop {
        match outcome {
            Err(error) if error.is_disconnect() => {}
            Err(error) if lost.get() && error.is_not_found() => {
                return Err(unknown(id, "it was removed when the daemon was started again"));
            }
            settled => return Ok(settled?),
        }
        if lost.replace(true) {
            tokio::time::sleep(PAUSE).await;
        }
        outcome = match client.containers().wait(id, condition).await {
            Ok(waiting) => waiting.ended().await,
            Err(error) => Err(error),
        };
    }
}

fn unknown(id: &str, reason: &str) -> Failure {
    let text = format!("the exit status of container {id} is unknown: the daemon was lost, and {reason}");
    Failure::new(text).with_code(REFUSED)
}

/// A container's status as ours.
fn exit_status(response: WaitResponse) -> Result<()> {
    match response {
        WaitResponse { error: Some(error), .. } => {
            Err(Failure::new(format!("Error waiting for container: {}", error.message)).with_code(REFUSED))
        }
        WaitResponse { status_code: 0, .. } => Ok(()),
        WaitResponse { status_code, .. } => Err(Failure::status(status_code)),
    }
}
