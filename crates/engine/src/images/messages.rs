//! The JSON lines of a long operation: a task writes them, the client reads them, and when the client goes the task
//! is stopped.
//!
//! An operation that fails before its first line fails the request, with a status; later the failure is the last
//! line, as dockerd does it.

use std::pin::Pin;
use std::task::{Context, Poll};

use barge_api::progress::{JsonMessage, ProgressDetail};
use futures_util::Stream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

const CAPACITY: usize = 64;
const BAR_WIDTH: usize = 50;

/// The lines of an operation. Dropping them stops it.
pub struct Messages {
    first: Option<JsonMessage>,
    receiver: mpsc::Receiver<Result<JsonMessage>>,
    task: JoinHandle<()>,
}

/// Where an operation writes its lines.
#[derive(Clone)]
pub(super) struct Sink {
    sender: mpsc::Sender<Result<JsonMessage>>,
}

impl Messages {
    /// Starts `work` and waits for its first line, or its end.
    pub(super) async fn start<F>(work: impl FnOnce(Sink) -> F) -> Result<Self>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (sender, mut receiver) = mpsc::channel(CAPACITY);
        let sink = Sink { sender: sender.clone() };
        let work = work(sink);
        let task = tokio::spawn(async move {
            if let Err(error) = work.await {
                // Nobody reads: nobody to tell.
                let _ = sender.send(Err(error)).await;
            }
        });
        let first = receiver.recv().await.transpose()?;
        Ok(Self { first, receiver, task })
    }
}

impl Stream for Messages {
    type Item = JsonMessage;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<JsonMessage>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        self.receiver
            .poll_recv(context)
            .map(|next| next.map(|line| line.unwrap_or_else(|error| JsonMessage::failure(error.message()))))
    }
}

impl Drop for Messages {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sink {
    /// Writes a line; waits while the client is slow.
    ///
    /// # Errors
    /// If nobody reads any more.
    pub(super) async fn send(&self, message: JsonMessage) -> Result<()> {
        self.sender.send(Ok(message)).await.map_err(|_| Error::system("the client is gone"))
    }

    pub(super) async fn status(&self, id: &str, status: impl Into<String>) -> Result<()> {
        self.send(JsonMessage::status(id, status)).await
    }

    /// [`Sink::send`] from a thread that may block.
    pub(super) fn send_blocking(&self, message: JsonMessage) {
        // If nobody reads, the task is stopped; its thread only finishes what it is at.
        let _ = self.sender.blocking_send(Ok(message));
    }
}

/// A line with numbers and, for clients that do not draw them, a bar.
pub(super) fn progress(id: &str, status: &str, current: u64, total: u64) -> JsonMessage {
    let number = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let detail =
        ProgressDetail { current: number(current), total: number(total), ..ProgressDetail::default() };
    JsonMessage {
        progress: bar(current, total),
        progress_detail: Some(detail),
        ..JsonMessage::status(id, status)
    }
}

/// A line of a layer without numbers; Docker's has an empty object there.
pub(super) fn phase(id: &str, status: &str) -> JsonMessage {
    JsonMessage { progress_detail: Some(ProgressDetail::default()), ..JsonMessage::status(id, status) }
}

fn bar(current: u64, total: u64) -> String {
    if total == 0 || current > total {
        return format!("{:>8}", human_size(current));
    }
    let done = usize::try_from(current.saturating_mul(100) / total / 2).unwrap_or(BAR_WIDTH);
    let rest = BAR_WIDTH - done.min(BAR_WIDTH);
    format!("[{}>{}] {:>8}/{}", "=".repeat(done), " ".repeat(rest), human_size(current), human_size(total))
}

/// Four significant digits and a decimal unit, as Docker writes sizes.
fn human_size(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut unit = 0;
    #[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut size = bytes as f64;
    while size >= 1000.0 && unit + 1 < UNITS.len() {
        size /= 1000.0;
        unit += 1;
    }
    let decimals = match size {
        size if size >= 1000.0 => 0,
        size if size >= 100.0 => 1,
        size if size >= 10.0 => 2,
        _ => 3,
    };
    let digits = format!("{size:.decimals$}");
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { &digits };
    format!("{digits}{}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;

    #[test]
    fn sizes_and_bars_are_those_of_docker() {
        let table = [(0, "0B"), (512, "512B"), (2_162_688, "2.163MB"), (1_000, "1kB"), (93_000_000, "93MB")];
        for (bytes, text) in table {
            assert_eq!(human_size(bytes), text);
        }
        assert_eq!(bar(0, 100), format!("[>{}]       0B/100B", " ".repeat(50)));
        assert_eq!(bar(50, 100), format!("[{}>{}]      50B/100B", "=".repeat(25), " ".repeat(25)));
        assert_eq!(bar(5, 0), "      5B");
    }

    #[test]
    fn lines_read_as_docker_writes_them() {
        let line = |message| serde_json::to_string(&message).unwrap();
        assert_eq!(
            line(phase("abc", "Pulling fs layer")),
            r#"{"status":"Pulling fs layer","progressDetail":{},"id":"abc"}"#
        );
        assert!(
            line(progress("abc", "Downloading", 1, 2))
                .contains(r#""progressDetail":{"current":1,"total":2}"#)
        );
    }

    #[tokio::test]
    async fn a_failure_before_the_first_line_is_the_requests_own() {
        let failed = Messages::start(|_| async { Err(Error::not_found("nothing")) }).await;
        assert_eq!(failed.err().unwrap().message(), "nothing");
        let lines = Messages::start(|sink| async move {
            sink.status("", "one").await?;
            Err(Error::not_found("nothing"))
        });
        let lines: Vec<_> = lines.await.unwrap().collect().await;
        assert_eq!(lines, [JsonMessage::status("", "one"), JsonMessage::failure("nothing")]);
    }
}
