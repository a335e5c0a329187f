//! What a caller asks of the runtime: the container to make, or the process to add to one.
//!
//! Nothing here touches the world; [`crate::Prepared`] and [`crate::exec`] do.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use barge_oci::runtime_spec::{Process, Spec};
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroup;

/// A container to be made from an OCI specification.
#[derive(Debug)]
pub struct Request {
    /// The container's name for the kernel: the last element of its cgroup when the spec names none.
    pub id: String,
    /// The directory that relative paths of the specification (`root.path`) start from.
    pub bundle: PathBuf,
    /// The specification, as the OCI runtime spec defines it.
    pub spec: Spec,
    /// Where the root filesystem comes from.
    pub root: Root,
    /// `name|uid[:group|gid]`, looked up in the container's own passwd and group files by its init.
    ///
    /// When set it overrides `process.user`, sets `HOME` if the environment has none, and a missing working
    /// directory is created.
    pub user: Option<String>,
    /// Further groups, by name or number, looked up in the container's own group file.
    pub groups: Vec<String>,
    /// A directory in which compiled seccomp filters are kept by the hash of their profile. Without it a filter is
    /// compiled each time.
    pub seccomp_cache: Option<PathBuf>,
}

/// Where a root filesystem comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// `root.path` of the specification, bound to itself inside the container's mount namespace.
    Bundle,
    /// An overlay mounted only inside the container's own mount namespace: the host never sees it and has nothing
    /// to unmount.
    Overlay {
        /// Read-only layers, topmost first.
        lower: Vec<PathBuf>,
        /// Where the container's changes go.
        upper: PathBuf,
        /// Overlay's work directory, empty and on the same filesystem as `upper`.
        work: PathBuf,
        /// Nobody wants the changes after the container's end (or after a crash of the host): nothing is written out
        /// for them, not even by `fsync` inside. For containers that are removed when they end.
        #[serde(default)]
        volatile: bool,
    },
}

/// What a container needs that only its caller has, handed over when it is created.
#[derive(Debug)]
pub struct Inputs {
    /// The container's standard streams.
    pub stdio: Stdio,
    /// A ready network namespace, which wins over the specification's own.
    pub netns: Option<OwnedFd>,
}

/// The standard streams of a process in a container.
#[derive(Debug)]
pub enum Stdio {
    /// Three descriptors, used as they are.
    Fds {
        /// Descriptor 0 of the process.
        stdin: OwnedFd,
        /// Descriptor 1 of the process.
        stdout: OwnedFd,
        /// Descriptor 2 of the process.
        stderr: OwnedFd,
    },
    /// A new terminal from the container's own devpts; its master comes back to the caller.
    Terminal {
        /// Columns and rows to begin with.
        size: Option<(u16, u16)>,
    },
}

/// One more process in a running container.
#[derive(Debug)]
pub struct ExecRequest<'a> {
    /// The pid of the container's init as the caller sees it.
    pub init_pid: i32,
    /// The pidfd of that init when the caller holds one; it rules out a pid that was used again.
    pub init_pidfd: Option<BorrowedFd<'a>>,
    /// The container's id and bundle, which a seccomp listener is told.
    pub id: &'a str,
    /// As [`Request::bundle`].
    pub bundle: &'a Path,
    /// The container's specification: its namespaces and seccomp profile hold for the new process too.
    pub spec: &'a Spec,
    /// The process to run.
    pub process: Process,
    /// As [`Request::user`].
    pub user: Option<String>,
    /// As [`Request::groups`].
    pub groups: Vec<String>,
    /// The container's cgroup.
    pub cgroup: &'a Cgroup,
    /// The standard streams of the new process.
    pub stdio: Stdio,
    /// How many of the caller's descriptors above 2 the program inherits.
    pub preserved: u16,
    /// As [`Request::seccomp_cache`].
    pub seccomp_cache: Option<PathBuf>,
}

/// A process that was added to a container and runs its program.
#[derive(Debug)]
pub struct Executed {
    /// Its pid as the caller sees it. It is a child of the caller, who reaps it.
    pub pid: i32,
    /// A descriptor that becomes readable when the process has ended.
    pub pidfd: OwnedFd,
    /// The master of its terminal, if it has one.
    pub console: Option<OwnedFd>,
    /// What could not be done as asked but does not stop the process.
    pub warnings: Vec<String>,
    /// The processors that its birth was bound to, a bit for each of the first 64, if the process asks for some.
    pub born_on: Option<u64>,
}
