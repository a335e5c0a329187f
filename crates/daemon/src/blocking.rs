//! Engine calls that wait for the disk, away from the threads that serve connections.

use barge_engine::Error;

/// Runs `work` on a thread for blocking work. It goes on to its end when the client leaves.
pub(crate) async fn blocking<T, W>(work: W) -> Result<T, Error>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T, Error> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(error) => Err(Error::system(format!("the operation was cut off: {error}"))),
    }
}
