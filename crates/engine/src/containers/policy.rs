//! Restart policies: whether a container that ended is started again, and after which pause. Pure.

use std::time::Duration;

use barge_api::containers::RestartPolicy;

use super::lifecycle::Then;

/// The first pause; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A run this long starts the pauses over.
const STEADY: Duration = Duration::from_secs(10);

/// A run that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// A stop or kill asked for it.
    pub(crate) manually_stopped: bool,
    /// Restarts by the policy before this end.
    pub(crate) restarts: u32,
}

/// What follows an end.
pub(crate) fn after_end(policy: &RestartPolicy, auto_remove: bool, ended: Ended) -> Then {
    if auto_remove {
        return Then::Remove;
    }
    let again = !ended.manually_stopped
        && match policy.name.as_str() {
            "always" | "unless-stopped" => true,
            "on-failure" => {
                let left =
                    policy.maximum_retry_count == 0 || i64::from(ended.restarts) < policy.maximum_retry_count;
                ended.code != 0 && left
            }
            _ => false,
        };
    if again { Then::Restart } else { Then::Stay }
}

/// Whether a new daemon starts a container that was not running when the last one died or the host went down.
/// `always` overrules a manual stop here, as Docker documents; `unless-stopped` does not.
pub(crate) fn at_daemon_start(policy: &RestartPolicy, ended: Ended) -> bool {
    match policy.name.as_str() {
        "always" => true,
        _ => after_end(policy, false, ended) == Then::Restart,
    }
}

/// The pauses between restarts of one container.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    last: Duration,
}

impl Backoff {
    /// The pause after a run that lasted so long.
    pub(crate) fn next(&mut self, lasted: Duration) -> Duration {
        self.last = if self.last.is_zero() || lasted >= STEADY {
            FIRST_PAUSE
        } else {
            (self.last * 2).min(LONGEST_PAUSE)
        };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, maximum_retry_count: i64) -> RestartPolicy {
        RestartPolicy { name: name.to_owned(), maximum_retry_count }
    }

    fn ended(code: i32, manually_stopped: bool, restarts: u32) -> Ended {
        Ended { code, manually_stopped, restarts }
    }

    #[test]
    fn policies_after_an_end() {
        let cases = [
            ("", 0, ended(1, false, 0), Then::Stay),
            ("no", 0, ended(1, false, 0), Then::Stay),
            ("always", 0, ended(0, false, 50), Then::Restart),
            ("always", 0, ended(0, true, 0), Then::Stay),
            ("unless-stopped", 0, ended(137, false, 0), Then::Restart),
            ("unless-stopped", 0, ended(137, true, 0), Then::Stay),
            ("on-failure", 0, ended(0, false, 0), Then::Stay),
            ("on-failure", 0, ended(1, false, 99), Then::Restart),
            ("on-failure", 2, ended(1, false, 1), Then::Restart),
            ("on-failure", 2, ended(1, false, 2), Then::Stay),
            ("on-failure", 2, ended(1, true, 0), Then::Stay),
        ];
        for (name, most, end, then) in cases {
            assert_eq!(after_end(&policy(name, most), false, end), then, "{name}:{most} after {end:?}");
        }
        assert_eq!(after_end(&policy("no", 0), true, ended(0, false, 0)), Then::Remove);
    }

    #[test]
    fn only_always_overrules_a_manual_stop_when_a_daemon_starts() {
        for (name, starts) in
            [("always", true), ("unless-stopped", false), ("on-failure", false), ("no", false)]
        {
            assert_eq!(at_daemon_start(&policy(name, 0), ended(1, true, 0)), starts, "{name}");
        }
    }

    #[test]
    fn pauses_double_to_a_minute_and_start_over_after_a_steady_run() {
        let mut backoff = Backoff::default();
        let short = Duration::from_secs(1);
        let pauses: Vec<_> = (0..4).map(|_| backoff.next(short).as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800]);
        (0..20).for_each(|_| _ = backoff.next(short));
        assert_eq!(backoff.next(short), LONGEST_PAUSE);
        assert_eq!(backoff.next(STEADY), FIRST_PAUSE);
    }
}
