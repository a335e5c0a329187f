//! How often and how soon something is tried again after a transient failure.

use std::time::Duration;

use crate::error::{Error, Result};

/// Tries in all.
pub(crate) const TRIES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// A registry that wants to be left alone for longer is not waited for: its error is shown.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait before the next try.
    ///
    /// # Errors
    /// The failure itself if it is not transient, if there were too many, or if the registry wants a long pause.
    pub(crate) fn pause(&mut self, failure: Error) -> Result<Duration> {
        self.failures += 1;
        if !failure.is_transient() || self.failures >= TRIES {
            return Err(failure);
        }
        let pause = failure.retry_after().unwrap_or(FIRST_PAUSE * 2_u32.pow(self.failures - 1));
        if pause > LONGEST_PAUSE { Err(failure) } else { Ok(pause) }
    }

    /// Things went well for a while: failures count from zero again.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Repeats `attempt` until it succeeds or [`Backoff`] gives up.
pub(crate) async fn persistently<T, F>(mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut backoff = Backoff::default();
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(failure) => tokio::time::sleep(backoff.pause(failure)?).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn overloaded(retry_after: Option<u64>) -> Error {
        let retry_after = retry_after.map(Duration::from_secs);
        Error::UnexpectedStatus { status: 503, text: "Service Unavailable", retry_after }
    }

    #[test]
    fn pauses_double_and_end() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (1..TRIES).map(|_| backoff.pause(overloaded(None)).unwrap()).collect();
        assert_eq!(pauses, [200, 400, 800, 1600].map(Duration::from_millis));
        assert!(backoff.pause(overloaded(None)).is_err());
    }

    #[test]
    fn the_registry_may_ask_for_a_pause_but_not_for_hours() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.pause(overloaded(Some(2))).unwrap(), Duration::from_secs(2));
        assert!(backoff.pause(overloaded(Some(3600))).is_err());
    }

    #[test]
    fn what_will_not_change_is_not_tried_again() {
        let refused = Error::UnexpectedStatus { status: 404, text: "Not Found", retry_after: None };
        assert!(Backoff::default().pause(refused).is_err());
    }
}
