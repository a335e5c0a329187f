//! What the daemon is busy with, for `--idle-exit` and for connections that wait for their request.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::connection::Busy;

/// Requests under way, of all connections.
#[derive(Debug)]
pub(crate) struct Activity {
    under_way: AtomicUsize,
    last: Mutex<Instant>,
}

/// One request under way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Request {
    activity: Arc<Activity>,
    connection: Busy,
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self { under_way: AtomicUsize::new(0), last: Mutex::new(Instant::now()) }
    }

    /// Counts a request of this connection.
    pub(crate) fn begin(self: &Arc<Self>, connection: &Busy) -> Request {
        self.under_way.fetch_add(1, Ordering::AcqRel);
        connection.fetch_add(1, Ordering::AcqRel);
        self.touch();
        Request { activity: Arc::clone(self), connection: Arc::clone(connection) }
    }

    /// Something happened just now that counts as use.
    pub(crate) fn touch(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// How long nothing has been under way.
    pub(crate) fn idle(&self) -> Duration {
        if self.under_way.load(Ordering::Acquire) > 0 {
            return Duration::ZERO;
        }
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.connection.fetch_sub(1, Ordering::AcqRel);
        self.activity.touch();
        self.activity.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_idle_while_a_request_runs() {
        let activity = Arc::new(Activity::new());
        let connection = Busy::default();
        let request = activity.begin(&connection);
        std::thread::sleep(Duration::from_millis(5));
        assert_eq!((activity.idle(), connection.load(Ordering::Acquire)), (Duration::ZERO, 1));
        drop(request);
        std::thread::sleep(Duration::from_millis(5));
        assert!(activity.idle() >= Duration::from_millis(5));
        assert_eq!(connection.load(Ordering::Acquire), 0);
    }
}
