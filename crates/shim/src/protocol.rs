//! What the daemon and the shim say to each other: one JSON message per packet, descriptors beside it.
//!
//! ```text
//! daemon -> shim   Call { seq, request }             every call is answered once, by its seq
//! shim -> daemon   Message::Reply { seq, result }    in any order
//!                  Message::Event(Event)             to every connected daemon
//! ```
//!
//! Pure encoding and decoding; the sockets are `barge_sys::socket`'s. Both ends are the same program or
//! neighbouring versions of it: unknown fields are ignored, new ones have defaults.

use barge_oci::runtime_spec::{LinuxResources, Process};
pub use barge_runtime::Kind;
pub use barge_runtime::cgroup::Stats;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::Stdin;
use crate::{Error, Result};

/// A request and the number by which its reply is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Chosen by the caller, unique on its connection.
    pub seq: u64,
    /// What is asked.
    pub request: Request,
}

/// What a daemon asks of a shim.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Create the container and run its program.
    ///
    /// Descriptors: the network namespace if `netns`, then sockets to hold open for as long as the container lives.
    Start {
        /// Whether the first descriptor is a network namespace to join.
        netns: bool,
    },
    /// Join a client to the streams of the container or of an exec. Descriptor: the client's socket.
    Attach(Attach),
    /// Run one more process. Descriptors: the clients' sockets, in the order of `attach`.
    Exec(Box<Exec>),
    /// Send a signal to the container's first process, or to an exec's.
    Signal {
        /// Its number.
        signal: i32,
        /// The exec's id.
        exec: Option<String>,
    },
    /// Send a signal to every process of the container.
    SignalAll {
        /// Its number.
        signal: i32,
    },
    /// Set a terminal's size. Before Start it is the size to begin with.
    Resize {
        /// The exec's id.
        exec: Option<String>,
        /// Columns.
        cols: u16,
        /// Rows.
        rows: u16,
    },
    /// Freeze all processes.
    Pause,
    /// Let them go on.
    Unpause,
    /// Change the container's limits.
    Update {
        /// Those to change.
        resources: Box<LinuxResources>,
    },
    /// List the container's processes.
    Processes,
    /// Close the standard input of the container or of an exec.
    CloseStdin {
        /// The exec's id.
        exec: Option<String>,
    },
    /// Tell how the container is.
    State,
    /// Tell what the container uses.
    Stats,
}

/// A client that is to be joined to a process's streams. Its socket goes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// Chosen by the caller; named again in [`Event::Detached`].
    pub id: u64,
    /// The exec to join instead of the container.
    #[serde(default)]
    pub exec: Option<String>,
    /// Whether what the client sends goes to the process.
    pub stdin: bool,
    /// Whether it gets the standard output (a terminal's whole output).
    pub stdout: bool,
    /// Whether it gets the standard error.
    pub stderr: bool,
    /// The keys that part the client from the container when typed; none: no keys do.
    #[serde(default)]
    pub detach_keys: Option<Vec<u8>>,
    /// How output is written to it.
    pub framing: Framing,
}

/// How output is written to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Framing {
    /// As it comes: Docker's `application/vnd.docker.raw-stream`.
    Raw,
    /// Each piece behind an 8-byte header: Docker's `application/vnd.docker.multiplexed-stream`.
    Multiplexed,
}

/// A process to run in a running container.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exec {
    /// The exec's id, unique in the container.
    pub id: String,
    /// What to run; its `terminal` and `consoleSize` count.
    pub process: Process,
    /// `name|uid[:group|gid]`, looked up inside the container.
    #[serde(default)]
    pub user: Option<String>,
    /// What becomes of its standard input.
    #[serde(default)]
    pub stdin: Stdin,
    /// The clients to join before its first byte.
    #[serde(default)]
    pub attach: Vec<Attach>,
}

/// What a shim says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// The answer to one call.
    Reply {
        /// The call's number.
        seq: u64,
        /// What came of it.
        result: Result<Answer, Failure>,
    },
    /// Something that happened.
    Event(Event),
}

/// What a successful call brings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It is done.
    Done,
    /// A process runs: the answer to Start and Exec.
    Started(Started),
    /// The answer to Processes: pids as the host sees them.
    Processes(Vec<i32>),
    /// The answer to State.
    State(State),
    /// The answer to Stats.
    Stats(Box<Stats>),
}

/// A process that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// Its pid as the host sees it.
    pub pid: i32,
    /// When it was started.
    pub started_at: Timestamp,
    /// What could not be done as asked but did not stop it.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// How a container is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Where it is in its life.
    pub status: Status,
    /// Its first process; 0 before Start.
    pub pid: i32,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// The execs that run, with their pids.
    pub execs: Vec<(String, i32)>,
}

/// Where a container is in its life, as its shim sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Waiting for Start.
    Created,
    /// Its first process runs.
    Running,
    /// Its processes are frozen.
    Paused,
    /// Its first process has ended; its last output is being written out.
    Stopping,
}

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Of what kind.
    pub kind: Kind,
    /// The reason, in runc's words where runc has the same failure.
    pub message: String,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The container has ended, its log is complete, its cgroup is gone. The last event.
    Exited(ExitRecord),
    /// An exec has ended and its output is written out.
    ExecExited {
        /// The exec's id.
        id: String,
        /// Its exit code, 128 + n for signal n.
        exit_code: i32,
    },
    /// A client has typed its detach keys.
    Detached {
        /// [`Attach::id`].
        attach: u64,
        /// The exec it was joined to.
        exec: Option<String>,
    },
    /// The kernel has killed a process of the container for want of memory.
    OutOfMemory,
}

/// How a container ended: also the content of `exit.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The document's version, 1.
    pub version: u32,
    /// The first process's pid.
    pub pid: i32,
    /// Its exit code, 128 + n for signal n.
    pub exit_code: i32,
    /// Whether the kernel killed a process for want of memory.
    pub oom_killed: bool,
    /// When it was started.
    pub started_at: Timestamp,
    /// When it was reaped.
    pub finished_at: Timestamp,
}

impl Call {
    /// The packet's bytes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|source| Error::Encode { source })
    }

    /// Reads a packet's bytes.
    pub fn decode(packet: &[u8]) -> Result<Self> {
        serde_json::from_slice(packet).map_err(|source| Error::Packet { source })
    }
}

impl Message {
    /// The packet's bytes.
    pub fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|source| Error::Encode { source })
    }

    /// Reads a packet's bytes.
    pub fn decode(packet: &[u8]) -> Result<Self> {
        serde_json::from_slice(packet).map_err(|source| Error::Packet { source })
    }
}

impl Failure {
    /// The object asked for isn't there (any more).
    pub fn not_found(message: impl Into<String>) -> Self {
        Self { kind: Kind::NotFound, message: message.into() }
    }

    /// The container is not in a state for this.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self { kind: Kind::Conflict, message: message.into() }
    }

    /// The request makes no sense.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self { kind: Kind::Invalid, message: message.into() }
    }

    /// The kernel refused.
    pub fn system(message: impl Into<String>) -> Self {
        Self { kind: Kind::System, message: message.into() }
    }
}

impl From<barge_runtime::Error> for Failure {
    fn from(error: barge_runtime::Error) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Runtime(error) => error.into(),
            Error::Refused(failure) => failure,
            error => Self::system(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_messages_survive_the_packet() {
        let attach = Attach {
            id: 7,
            exec: None,
            stdin: true,
            stdout: true,
            stderr: false,
            detach_keys: Some(vec![16, 17]),
            framing: Framing::Multiplexed,
        };
        let requests = [
            Request::Start { netns: true },
            Request::Attach(attach.clone()),
            Request::Exec(Box::new(Exec {
                id: "e".into(),
                process: Process::default(),
                user: Some("root".into()),
                stdin: Stdin::Once,
                attach: vec![attach],
            })),
            Request::Resize { exec: None, cols: 80, rows: 24 },
            Request::Update { resources: Box::default() },
            Request::Pause,
        ];
        for request in requests {
            let call = Call { seq: u64::MAX, request };
            assert_eq!(Call::decode(&call.encode().unwrap()).unwrap(), call);
        }
        let now = Timestamp::now();
        let record = ExitRecord {
            version: 1,
            pid: 1,
            exit_code: 137,
            oom_killed: true,
            started_at: now,
            finished_at: now,
        };
        let messages = [
            Message::Reply { seq: 1, result: Ok(Answer::Done) },
            Message::Reply { seq: 2, result: Err(Failure::conflict("no")) },
            Message::Event(Event::Exited(record)),
            Message::Event(Event::Detached { attach: 7, exec: Some("e".into()) }),
        ];
        for message in messages {
            assert_eq!(Message::decode(&message.encode().unwrap()).unwrap(), message);
        }
    }

    #[test]
    fn a_malformed_packet_is_an_error() {
        for packet in [&b""[..], b"{", b"[]", b"{\"seq\":1}", b"{\"seq\":1,\"request\":{\"Nope\":{}}}"] {
            assert!(Call::decode(packet).is_err());
        }
    }
}
