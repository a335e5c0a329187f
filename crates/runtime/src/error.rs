//! What can go wrong between a specification and a running process.
//!
//! Every variant can be written as JSON, because most of them are found by a container's init, which sends its error
//! to the parent before it dies. Causes are therefore kept as plain error numbers.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The result of what can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kernel's reason for a failure: an error number that can travel between processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cause(i32);

impl Cause {
    /// A cause from an error number of `errno(3)`.
    pub fn from_errno(errno: i32) -> Self {
        Self(errno)
    }

    /// The error number, as in `errno(3)`.
    pub fn errno(self) -> i32 {
        self.0
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self(error.raw_os_error().unwrap_or_else(|| rustix::io::Errno::IO.raw_os_error()))
    }
}

impl From<rustix::io::Errno> for Cause {
    fn from(errno: rustix::io::Errno) -> Self {
        Self(errno.raw_os_error())
    }
}

impl fmt::Display for Cause {
    /// The kernel's words in lower case, as Go programs (and so Docker's users) know them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = io::Error::from_raw_os_error(self.0).to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        let mut letters = text.chars();
        match letters.next() {
            Some(first) => write!(f, "{}{}", first.to_ascii_lowercase(), letters.as_str()),
            None => write!(f, "errno {}", self.0),
        }
    }
}

impl std::error::Error for Cause {}

/// What kind of failure an [`Error`] is, for callers that answer each kind differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The program to run does not exist (a shell's 127).
    ExecutableNotFound,
    /// The program exists but may not be run, or is a directory (a shell's 126).
    ExecutableNotRunnable,
    /// The user or group does not exist in the container.
    User,
    /// The specification, or the request around it, makes no sense.
    Invalid,
    /// A mount inside the container failed.
    Mount,
    /// The container or its process is gone, or there is no such container.
    NotFound,
    /// Something with this name exists, or is in the wrong state for this.
    Conflict,
    /// Everything else: the kernel refused.
    System,
}

/// A failure: the operation and the object it was for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each variant's message says what it is")]
pub enum Error {
    #[error("exec: {name:?}: executable file not found in $PATH")]
    ExecutableNotInPath { name: String },
    #[error("exec: {path:?}: stat {path}: no such file or directory")]
    ExecutableMissing { path: String },
    #[error("exec: {path:?}: stat {path}: {source}")]
    ExecutableStat { path: String, source: Cause },
    #[error("exec: {path:?}: permission denied")]
    ExecutablePermission { path: String },
    #[error("exec: {path:?}: is a directory")]
    ExecutableIsDirectory { path: String },
    #[error("exec {path}: {source}")]
    Exec { path: String, source: Cause },

    #[error("unable to find user {user}: no matching entries in passwd file")]
    UserUnknown { user: String },
    #[error("unable to find group {group}: no matching entries in group file")]
    GroupUnknown { group: String },
    #[error("user {text:?}: {reason}")]
    UserInvalid { text: String, reason: String },
    #[error("read {path} of the container: {source}")]
    UserDatabase { path: String, source: Cause },
    #[error("chdir to cwd ({path:?}) set in config.json failed: {source}")]
    WorkingDirectory { path: PathBuf, source: Cause },
    #[error(
        "current working directory is outside of container mount namespace root -- possible container breakout detected"
    )]
    WorkingDirectoryOutside,

    #[error("invalid specification: {field}: {reason}")]
    InvalidSpec { field: String, reason: String },
    #[error("error mounting {from:?} to rootfs at {target:?}: {source}")]
    Mount { from: String, target: PathBuf, source: Cause },
    #[error("bind source path does not exist: {path}", path = path.display())]
    BindSourceMissing { path: PathBuf },
    #[error("open bind source {path:?}: {source}")]
    BindSource { path: PathBuf, source: Cause },
    #[error(
        "failed to set MOUNT_ATTR_IDMAP on {path}: {source} (maybe the filesystem used doesn't support idmap mounts on this kernel?)",
        path = path.display()
    )]
    IdMappedMount { path: PathBuf, source: Cause },
    #[error("copy up the contents of {target:?}: {source}")]
    CopyUp { target: PathBuf, source: Cause },
    #[error("mount destination {target:?} inside the rootfs: {source}")]
    MountTarget { target: PathBuf, source: Cause },
    #[error("filesystem {target:?} must be mounted on ordinary directory, not on a symbolic link")]
    MountTargetSymlink { target: PathBuf },
    #[error("root filesystem {path:?}: {source}")]
    RootFs { path: PathBuf, source: Cause },
    #[error("mount overlay root with {layers} layers over {upper:?}: {source}")]
    Overlay { layers: usize, upper: PathBuf, source: Cause },
    #[error("change the root without pivot_root: {source}")]
    ChangeRoot { source: Cause },
    #[error("pivot_root: {source}")]
    PivotRoot { source: Cause },
    #[error("set propagation of {path:?}: {source}")]
    Propagation { path: PathBuf, source: Cause },
    #[error("make device {path:?}: {source}")]
    Device { path: PathBuf, source: Cause },
    #[error("mask {path:?}: {source}")]
    Mask { path: PathBuf, source: Cause },
    #[error("make {path:?} read-only: {source}")]
    ReadOnly { path: PathBuf, source: Cause },
    #[error("sysctl {key:?}: {source}")]
    Sysctl { key: String, source: Cause },
    #[error("set {what}: {source}")]
    Attribute { what: String, source: Cause },
    #[error("set rlimit {name}: {source}")]
    Rlimit { name: String, source: Cause },
    #[error("terminal: {what}: {source}")]
    Terminal { what: String, source: Cause },

    #[error("open {kind} namespace {path:?}: {source}")]
    NamespaceOpen { kind: String, path: PathBuf, source: Cause },
    #[error("join {kind} namespace: {source}")]
    NamespaceJoin { kind: String, source: Cause },
    #[error("linux.netDevices: move {name:?} into the container as {inside:?}: {reason}")]
    NetworkDevice { name: String, inside: String, reason: String },
    #[error("take up the loopback device: {reason}")]
    Loopback { reason: String },
    #[error("write {file} of pid {pid}: {source}")]
    IdMap { file: String, pid: i32, source: Cause },
    #[error("clone3: {source}")]
    Clone { source: Cause },
    #[error("channel to the container's init: {source}")]
    Channel { source: Cause },
    #[error("the container's init ended before it was ready")]
    InitDied,
    #[error("container init was OOM-killed (memory limit too low?)")]
    InitOutOfMemory,
    #[error("the process was stopped by another one on its way into the container")]
    Halted,

    #[error("error running {kind} hook #{index}: {reason}")]
    Hook { kind: String, index: usize, reason: String },
    #[error("cgroup {path:?}: {operation}: {source}")]
    Cgroup { path: PathBuf, operation: String, source: Cause },
    #[error("cgroup: {reason}")]
    CgroupUnsupported { reason: String },
    #[error("D-Bus: {operation}: {source}")]
    Bus { operation: String, source: Cause },
    #[error("{message} ({name})")]
    BusReply { name: String, message: String },
    #[error("{reason}")]
    Systemd { reason: String },

    #[error("criu: {reason}")]
    CriuUnusable { reason: String },
    #[error("criu failed: type {request} errno {errno}: {reason} (log file: {log})", log = log.display())]
    Criu { request: String, errno: i32, reason: String, log: PathBuf },

    #[error("seccomp: {reason}")]
    SeccompProfile { reason: String },
    #[error("seccomp cache {path:?}: {source}")]
    SeccompCache { path: PathBuf, source: Cause },
    #[error("seccomp listener {path:?}: {source}")]
    SeccompListener { path: PathBuf, source: Cause },
    #[error("load seccomp filter: {source}")]
    SeccompLoad { source: Cause },

    #[error("{operation} {path:?}: {source}")]
    File { operation: String, path: PathBuf, source: Cause },
    #[error("read {path:?}: {reason}")]
    Document { path: PathBuf, reason: String },
    #[error("container with given ID already exists: {id}")]
    Exists { id: String },
    #[error("container does not exist: {id}")]
    NoSuchContainer { id: String },
    #[error("{}", wrong_status(id, status, operation))]
    WrongStatus { id: String, status: String, operation: String },
    #[error("signal {signal} to pid {pid}: {source}")]
    Signal { signal: i32, pid: i32, source: Cause },
    #[error("hold pid {pid}: {source}")]
    Hold { pid: i32, source: Cause },
    #[error("{reason}")]
    Usage { reason: String },
}

impl Error {
    /// Which kind of failure this is.
    pub fn kind(&self) -> Kind {
        use Error as E;
        match self {
            E::ExecutableNotInPath { .. } | E::ExecutableMissing { .. } => Kind::ExecutableNotFound,
            E::ExecutablePermission { .. }
            | E::ExecutableIsDirectory { .. }
            | E::ExecutableStat { .. }
            | E::Exec { .. } => Kind::ExecutableNotRunnable,
            E::UserUnknown { .. }
            | E::GroupUnknown { .. }
            | E::UserInvalid { .. }
            | E::UserDatabase { .. } => Kind::User,
            E::InvalidSpec { .. } | E::SeccompProfile { .. } | E::Usage { .. } => Kind::Invalid,
            E::Mount { .. }
            | E::BindSourceMissing { .. }
            | E::BindSource { .. }
            | E::IdMappedMount { .. }
            | E::CopyUp { .. }
            | E::MountTarget { .. }
            | E::MountTargetSymlink { .. }
            | E::RootFs { .. }
            | E::Overlay { .. } => Kind::Mount,
            E::NoSuchContainer { .. } => Kind::NotFound,
            E::Exists { .. } | E::WrongStatus { .. } => Kind::Conflict,
            _ => Kind::System,
        }
    }
}

/// In runc's words, some of which callers look for.
fn wrong_status(id: &str, status: &str, operation: &str) -> String {
    match (operation, status) {
        ("start", "running") => "cannot start an already running container".into(),
        ("start", "stopped") => "cannot start a container that has stopped".into(),
        ("delete", _) => format!("cannot delete container {id} that is not stopped: {status}"),
        ("kill" | "pause", _) => "container not running".into(),
        _ => format!("cannot {operation} in a {status} container"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_reads_as_go_programs_write_it() {
        let cases = [(2, "no such file or directory"), (13, "permission denied"), (8, "exec format error")];
        for (errno, text) in cases {
            assert_eq!(Cause::from_errno(errno).to_string(), text);
        }
    }

    #[test]
    fn executable_errors_keep_runcs_words_and_survive_the_channel() {
        let cases = [
            (
                Error::ExecutableNotInPath { name: "foo".into() },
                Kind::ExecutableNotFound,
                r#"exec: "foo": executable file not found in $PATH"#,
            ),
            (
                Error::ExecutableMissing { path: "/x".into() },
                Kind::ExecutableNotFound,
                r#"exec: "/x": stat /x: no such file or directory"#,
            ),
            (
                Error::ExecutablePermission { path: "/x".into() },
                Kind::ExecutableNotRunnable,
                r#"exec: "/x": permission denied"#,
            ),
            (
                Error::ExecutableIsDirectory { path: "/etc".into() },
                Kind::ExecutableNotRunnable,
                r#"exec: "/etc": is a directory"#,
            ),
        ];
        for (error, kind, text) in cases {
            assert_eq!(error.to_string(), text);
            assert_eq!(error.kind(), kind);
            let json = serde_json::to_vec(&error).unwrap();
            assert_eq!(serde_json::from_slice::<Error>(&json).unwrap(), error);
        }
    }
}
