//! Where a container is in its life, and the one function that moves it.
//!
//! ```text
//!            Started                 Paused
//!  Created ───────────▶ Running ◀──────────────▶ Paused
//!   │ ▲ StartFailed      │  ▲      Unpaused        │
//!   │ └─(stays, with     │  │                      │
//!   │    the reason)     │  └───────┐              │ Ended
//!   │              Ended ├──────────┼──────────────┘
//!   │                    ▼          │ Started
//!   │         Exited ◀── or ──▶ Restarting (policy; waits for its turn)
//!   │          │  ▲ Started          │ RestartCancelled, StartFailed: Exited
//!   │          │  └─▶ Running        │
//!   ▼          ▼                     ▼
//!  Removing ──(RemoveFailed)──▶ Dead ──▶ Removing
//! ```
//!
//! `step` is pure: the owner in `task.rs` calls it and carries out the actions. Nothing else changes a status.

use barge_api::containers::status;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a container is in its life, with what is known there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(crate) enum Status {
    /// Never ran. A start that failed leaves its reason.
    Created {
        failure: Option<Failure>,
    },
    Running(Run),
    /// Running, its processes frozen.
    Paused(Run),
    /// Ended, and its restart policy will start it again.
    Restarting(Exit),
    Exited(Exit),
    /// On its way out; restored by another daemon, it is removed to the end.
    Removing(Exit),
    /// Could not be removed, or its state on disk cannot be believed.
    Dead(Exit),
}

/// One run of a container's process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// In the host's PID namespace.
    pub(crate) pid: u32,
    pub(crate) started_at: Timestamp,
}

/// How the last run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Exit {
    /// 0 to 255; 128+n for signal n.
    pub(crate) code: i32,
    pub(crate) oom_killed: bool,
    /// Why it could not be started or removed.
    pub(crate) error: String,
    /// `None` if it never ran.
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Option<Timestamp>,
}

/// Why a start failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    /// 126, 127 or 128.
    pub(crate) code: i32,
    pub(crate) error: String,
}

/// Something happened to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Started(Run),
    StartFailed(Failure),
    Paused,
    Unpaused,
    Ended(Exit, Then),
    /// A stop reached a container that waited for its restart.
    RestartCancelled,
    RemoveAsked,
    RemoveFailed(String),
}

/// What is to follow an end, as the restart policy has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Stay,
    Restart,
    /// `--rm`.
    Remove,
}

/// What the owner has to do after a step, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Take the network and the rest of the run down.
    Release,
    /// Write the document.
    Persist,
    /// Tell an event of this name, with the exit code if it is `die`.
    Announce(&'static str),
    /// Start again after the policy's pause.
    ScheduleRestart,
    Remove,
}

use Action::{Announce, Persist, Release, Remove, ScheduleRestart};

/// Moves a status. `None`: the event does not apply here and nothing changes, for example the end of a process
/// whose container is being removed already.
pub(crate) fn step(status: &Status, event: Event) -> Option<(Status, Vec<Action>)> {
    let next = match (status, event) {
        (
            Status::Created { .. } | Status::Exited(_) | Status::Restarting(_) | Status::Dead(_),
            Event::Started(run),
        ) => (Status::Running(run), vec![Persist, Announce("start")]),
        (Status::Created { .. }, Event::StartFailed(failure)) => {
            (Status::Created { failure: Some(failure) }, vec![Persist])
        }
        (Status::Exited(last) | Status::Restarting(last), Event::StartFailed(failure)) => {
            let exit = Exit { code: failure.code, error: failure.error, ..last.clone() };
            (Status::Exited(exit), vec![Persist])
        }
        (Status::Running(run), Event::Paused) => {
            (Status::Paused(run.clone()), vec![Persist, Announce("pause")])
        }
        (Status::Paused(run), Event::Unpaused) => {
            (Status::Running(run.clone()), vec![Persist, Announce("unpause")])
        }
        (Status::Running(_) | Status::Paused(_), Event::Ended(exit, then)) => match then {
            Then::Stay => (Status::Exited(exit), vec![Release, Persist, Announce("die")]),
            Then::Restart => {
                (Status::Restarting(exit), vec![Release, Persist, Announce("die"), ScheduleRestart])
            }
            Then::Remove => (Status::Exited(exit), vec![Release, Announce("die"), Remove]),
        },
        (Status::Restarting(last), Event::RestartCancelled) => (Status::Exited(last.clone()), vec![Persist]),
        (
            Status::Created { .. } | Status::Exited(_) | Status::Restarting(_) | Status::Dead(_),
            Event::RemoveAsked,
        ) => (Status::Removing(status.last_exit()), vec![Persist]),
        (Status::Removing(last), Event::RemoveFailed(error)) => {
            (Status::Dead(Exit { error, ..last.clone() }), vec![Persist])
        }
        _ => return None,
    };
    Some(next)
}

impl Status {
    /// Docker's word.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Created { .. } => status::CREATED,
            Self::Running(_) => status::RUNNING,
            Self::Paused(_) => status::PAUSED,
            Self::Restarting(_) => status::RESTARTING,
            Self::Exited(_) => status::EXITED,
            Self::Removing(_) => status::REMOVING,
            Self::Dead(_) => status::DEAD,
        }
    }

    /// The run under way, frozen or not.
    pub(crate) fn run(&self) -> Option<&Run> {
        match self {
            Self::Running(run) | Self::Paused(run) => Some(run),
            _ => None,
        }
    }

    /// Whether Docker calls it running, which includes paused and restarting.
    pub(crate) fn counts_as_running(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Paused(_) | Self::Restarting(_))
    }

    /// How the last run ended; all zero if there was none.
    pub(crate) fn last_exit(&self) -> Exit {
        match self {
            Self::Exited(exit) | Self::Restarting(exit) | Self::Removing(exit) | Self::Dead(exit) => {
                exit.clone()
            }
            Self::Created { failure: Some(failure) } => {
                Exit { code: failure.code, error: failure.error.clone(), ..Exit::default() }
            }
            Self::Running(run) | Self::Paused(run) => {
                Exit { started_at: Some(run.started_at), ..Exit::default() }
            }
            Self::Created { failure: None } => Exit::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run() -> Run {
        Run { pid: 7, started_at: Timestamp::UNIX_EPOCH }
    }

    fn exit(code: i32) -> Exit {
        Exit { code, started_at: Some(Timestamp::UNIX_EPOCH), ..Exit::default() }
    }

    fn created() -> Status {
        Status::Created { failure: None }
    }

    #[test]
    fn every_edge_of_the_diagram() {
        let failure = Failure { code: 127, error: "no".to_owned() };
        let failed = Exit { error: "no".to_owned(), ..exit(127) };
        let cases = [
            (created(), Event::Started(run()), Status::Running(run()), vec![Persist, Announce("start")]),
            (
                created(),
                Event::StartFailed(failure.clone()),
                Status::Created { failure: Some(failure.clone()) },
                vec![Persist],
            ),
            (
                Status::Exited(exit(1)),
                Event::StartFailed(failure.clone()),
                Status::Exited(failed.clone()),
                vec![Persist],
            ),
            (Status::Restarting(exit(1)), Event::StartFailed(failure), Status::Exited(failed), vec![Persist]),
            (
                Status::Exited(exit(1)),
                Event::Started(run()),
                Status::Running(run()),
                vec![Persist, Announce("start")],
            ),
            (Status::Running(run()), Event::Paused, Status::Paused(run()), vec![Persist, Announce("pause")]),
            (
                Status::Paused(run()),
                Event::Unpaused,
                Status::Running(run()),
                vec![Persist, Announce("unpause")],
            ),
            (
                Status::Running(run()),
                Event::Ended(exit(3), Then::Stay),
                Status::Exited(exit(3)),
                vec![Release, Persist, Announce("die")],
            ),
            (
                Status::Paused(run()),
                Event::Ended(exit(3), Then::Restart),
                Status::Restarting(exit(3)),
                vec![Release, Persist, Announce("die"), ScheduleRestart],
            ),
            (
                Status::Running(run()),
                Event::Ended(exit(0), Then::Remove),
                Status::Exited(exit(0)),
                vec![Release, Announce("die"), Remove],
            ),
            (Status::Restarting(exit(1)), Event::RestartCancelled, Status::Exited(exit(1)), vec![Persist]),
            (Status::Exited(exit(1)), Event::RemoveAsked, Status::Removing(exit(1)), vec![Persist]),
            (
                Status::Removing(exit(1)),
                Event::RemoveFailed("busy".to_owned()),
                Status::Dead(Exit { error: "busy".to_owned(), ..exit(1) }),
                vec![Persist],
            ),
        ];
        for (from, event, to, actions) in cases {
            let found = step(&from, event.clone());
            assert_eq!(found, Some((to, actions)), "{from:?} and {event:?}");
        }
    }

    #[test]
    fn what_does_not_apply_changes_nothing() {
        let cases = [
            (created(), Event::Paused),
            (created(), Event::Ended(exit(0), Then::Stay)),
            (Status::Exited(exit(0)), Event::Unpaused),
            (Status::Running(run()), Event::RemoveAsked),
            (Status::Running(run()), Event::Started(run())),
            (Status::Removing(exit(0)), Event::Ended(exit(0), Then::Stay)),
            (Status::Removing(exit(0)), Event::Started(run())),
        ];
        for (from, event) in cases {
            assert_eq!(step(&from, event.clone()), None, "{from:?} and {event:?}");
        }
    }

    #[test]
    fn statuses_survive_json() {
        for status in [created(), Status::Running(run()), Status::Restarting(exit(1)), Status::Dead(exit(9))]
        {
            let json = serde_json::to_string(&status).unwrap();
            assert_eq!(serde_json::from_str::<Status>(&json).unwrap(), status, "{json}");
        }
    }
}
