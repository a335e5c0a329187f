//! `state`: what is known of a container, and the file that keeps it.

use std::cell::OnceCell;
use std::fs;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barge_oci::runtime_spec::{LinuxNamespace, LinuxNamespaceType, Spec};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::flags::{CONTAINER, Given, Syntax};
use super::life::{self, Mark};
use super::{Globals, Verb, json, print, unfinished};
use crate::cgroup::{Cgroup, Scope};
use crate::error::{Error, Result};
use crate::hooks::HooksPlan;
use crate::rdt::RdtPlan;
use crate::reservation::Reservation;

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "state",
        about: "Print a container's state as JSON",
        words: CONTAINER,
        count: (1, 1),
        open: false,
        flags: &[],
    },
    state,
);

/// Prints the state, with the fields that the runtime specification names and runc's own.
fn state(globals: &Globals, given: &Given) -> Result<u8> {
    let container = Container::load(&globals.root, &given.container()?)?;
    print(&json(&container.report()?)?)
}

const VERSION: u32 = 1;

/// `state.json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Document {
    pub(super) version: u32,
    pub(super) id: String,
    pub(super) bundle: PathBuf,
    pub(super) rootfs: PathBuf,
    pub(super) pid: i32,
    /// When the process began, in ticks since boot: tells it from another with the same pid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) start_time: Option<u64>,
    /// The inode of its pidfd, which tells as much, where its start could not be seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) pidfd_inode: Option<u64>,
    pub(super) cgroup: PathBuf,
    /// The unit of systemd that the cgroup belongs to, if it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) systemd: Option<Scope>,
    pub(super) created: String,
    pub(super) spec: Spec,
}

/// A container as its state file and the kernel have it.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) directory: PathBuf,
    pub(super) document: Document,
    /// Its cgroup, once it has been looked for: that takes a reading of all the host's mounts.
    place: OnceCell<Cgroup>,
    /// Its directory as this process has made it, if it has.
    reservation: Option<Arc<Reservation>>,
}

/// What a container is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    oci_version: String,
    pub(super) id: String,
    pub(super) pid: i32,
    pub(super) status: Status,
    pub(super) bundle: PathBuf,
    rootfs: PathBuf,
    pub(super) created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<std::collections::HashMap<String, String>>,
    pub(super) owner: String,
}

impl Report {
    /// With the name of its owner, which only lists tell.
    pub(super) fn owned_by(self, owner: String) -> Self {
        Self { owner, ..self }
    }
}

/// The directory of a container, whose id must be a plain name.
pub(super) fn directory(root: &Path, id: &str) -> Result<PathBuf> {
    let plain = !id.is_empty()
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-.".contains(&b))
        && !matches!(id, "." | "..");
    if !plain {
        return Err(Error::Usage { reason: format!("invalid container ID format: {id:?}") });
    }
    Ok(root.join(id))
}

/// Makes the directory of a new container.
pub(super) fn reserve(root: &Path, id: &str) -> Result<Arc<Reservation>> {
    let path = directory(root, id)?;
    let failed = |source: std::io::Error| Error::File {
        operation: "create directory".into(),
        path: path.clone(),
        source: source.into(),
    };
    fs::DirBuilder::new().recursive(true).mode(0o711).create(root).map_err(failed)?;
    match fs::DirBuilder::new().mode(0o700).create(&path) {
        Ok(()) => {
            let reservation = Reservation::of(path.clone()).map(Arc::new);
            reservation.inspect_err(|_| drop(fs::remove_dir(&path)))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Error::Exists { id: id.into() }),
        Err(error) => Err(failed(error)),
    }
}

pub(super) const FIFO: &str = "exec.fifo";
/// Says what came of the start, in containers with hooks that depend on it.
pub(super) const OUTCOME: &str = "outcome.fifo";
pub(super) const FILE: &str = "state.json";

impl Container {
    pub(super) fn load(root: &Path, id: &str) -> Result<Self> {
        let directory = directory(root, id)?;
        let path = directory.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::NoSuchContainer { id: id.into() });
            }
            Err(error) => {
                return Err(Error::File { operation: "read".into(), path, source: error.into() });
            }
        };
        let document: Document = serde_json::from_slice(&text)
            .map_err(|error| Error::Document { path: path.clone(), reason: error.to_string() })?;
        if document.version != VERSION {
            let reason = format!("version {} is not known", document.version);
            return Err(Error::Document { path, reason });
        }
        Ok(Self { directory, document, place: OnceCell::new(), reservation: None })
    }

    /// As [`Container::load`], while nobody else changes the state until the descriptor is closed: what two write at the
    /// same time would be the work of one.
    pub(super) fn load_to_change(root: &Path, id: &str) -> Result<(Self, OwnedFd)> {
        let path = directory(root, id)?;
        let failed = |operation: &str, errno: Errno| match errno {
            Errno::NOENT => Error::NoSuchContainer { id: id.into() },
            errno => Error::File { operation: operation.into(), path: path.clone(), source: errno.into() },
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let lock = rustix::fs::open(&path, flags, Mode::empty()).map_err(|errno| failed("open", errno))?;
        let exclusively = || rustix::fs::flock(&lock, FlockOperation::LockExclusive);
        rustix::io::retry_on_intr(exclusively).map_err(|errno| failed("lock", errno))?;
        Ok((Self::load(root, id)?, lock))
    }

    /// Writes the state of a container.
    pub(super) fn save(directory: PathBuf, document: Document) -> Result<Self> {
        let path = directory.join(FILE);
        let text = serde_json::to_vec(&document)
            .map_err(|error| Error::Document { path: path.clone(), reason: error.to_string() })?;
        // Nobody else's: what one has half written is not for another to put in place. It goes with the directory.
        let temporary = directory.join(format!("{FILE}.{}.tmp", std::process::id()));
        fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &path)).map_err(|error| {
            let _ = fs::remove_file(&temporary);
            Error::File { operation: "write".into(), path, source: error.into() }
        })?;
        Ok(Self { directory, document, place: OnceCell::new(), reservation: None })
    }

    /// The same container, whose directory this process has made.
    pub(super) fn reserved(self, reservation: &Arc<Reservation>) -> Self {
        Self { reservation: Some(Arc::clone(reservation)), ..self }
    }

    /// Whether it was deleted, and another has its name now, and all that goes by the name.
    pub(super) fn is_anothers(&self) -> bool {
        self.reservation.as_ref().is_some_and(|reservation| reservation.is_anothers())
    }

    /// Its init and its [stage](Self::stage); no init when it has stopped. In this order: a number that another process has by
    /// now does not pass for the container's, and what passed can't become another's any more.
    pub(super) fn hold(&self) -> Result<(Option<OwnedFd>, Status)> {
        let init = life::open(self.document.pid)?;
        let stage = self.stage()?;
        Ok((init.filter(|_| stage != Status::Stopped), stage))
    }

    /// Sends a signal to its init; none to a process that only has its number.
    pub(super) fn signal(&self, signal: i32) -> Result<()> {
        let failed = |source| Error::Signal { signal, pid: self.document.pid, source };
        let (init, _) = self.hold()?;
        let init = init.ok_or_else(|| failed(Errno::SRCH.into()))?;
        barge_sys::process::kill_held(init.as_fd(), signal).map_err(|error| failed(error.into()))
    }

    /// What it is doing. Not to be able to tell is an error: nothing is done to a container on a guess.
    pub(super) fn status(&self) -> Result<Status> {
        let stage = self.stage()?;
        match stage != Status::Stopped && self.cgroup()?.is_frozen() {
            true => Ok(Status::Paused),
            false => Ok(stage),
        }
    }

    /// Its status for those to whom it is the same whether it is paused; never `Paused`.
    pub(super) fn stage(&self) -> Result<Status> {
        let Document { pid, start_time, pidfd_inode: inode, .. } = self.document;
        if !(Mark { start_time, inode }).is_alive(pid)? {
            return Ok(Status::Stopped);
        }
        let fifo = self.directory.join(FIFO);
        match fifo.try_exists() {
            Ok(true) => Ok(Status::Created),
            Ok(false) => Ok(Status::Running),
            Err(error) => Err(Error::File { operation: "find".into(), path: fifo, source: error.into() }),
        }
    }

    pub(super) fn cgroup(&self) -> Result<Cgroup> {
        if let Some(place) = self.place.get() {
            return Ok(place.clone());
        }
        let found = Cgroup::open_in(&self.document.cgroup, self.document.systemd.clone())?;
        Ok(self.place.get_or_init(|| found).clone())
    }

    pub(super) fn report(&self) -> Result<Report> {
        let status = self.status()?;
        let document = &self.document;
        Ok(Report {
            oci_version: document.spec.version().clone(),
            id: document.id.clone(),
            status,
            pid: if status == Status::Stopped { 0 } else { document.pid },
            bundle: document.bundle.clone(),
            rootfs: document.rootfs.clone(),
            created: document.created.clone(),
            annotations: document.spec.annotations().clone(),
            owner: String::new(),
        })
    }

    /// The error of an operation that this status does not allow.
    pub(super) fn wrong(&self, status: Status, operation: &str) -> Error {
        Error::WrongStatus {
            id: self.document.id.clone(),
            status: status.word().into(),
            operation: operation.into(),
        }
    }

    /// Removes the cgroup and what else the host has of it, then the state. The state stays with what can't be removed, so
    /// that it can be tried again. When nothing of it is left, its poststop hooks run. False when somebody else was faster,
    /// who has run them.
    pub(super) fn remove(&self) -> Result<bool> {
        if self.is_anothers() {
            return Ok(false);
        }
        let cgroup = self.cgroup().and_then(|cgroup| {
            if self.outlived() {
                cgroup.end()?;
            }
            cgroup.clear()
        });
        let rdt = RdtPlan::of_spec(&self.document.spec, &self.document.id);
        let rdt = rdt.and_then(|rdt| rdt.map_or(Ok(()), |rdt| rdt.remove()));
        cgroup.and(rdt)?;
        if !unfinished::remove_directory(&self.directory)? {
            return Ok(false);
        }
        if let Some(hooks) = self.hooks()? {
            hooks.poststop().iter().for_each(|failure| super::warn(failure));
        }
        Ok(true)
    }

    /// The processes in its cgroup. One that runs and is not there has none of its own, as a user's without rights over
    /// cgroups, and nobody knows which processes are its.
    pub(super) fn processes(&self) -> Result<Vec<i32>> {
        let pids = self.cgroup()?.procs()?;
        if pids.is_empty() && self.stage()? != Status::Stopped {
            let reason = "unable to get all container pids: the container has no cgroup of its own".into();
            return Err(Error::CgroupUnsupported { reason });
        }
        Ok(pids)
    }

    /// Whether its processes may go on when the first one has ended: no pid namespace ends with that.
    pub(super) fn outlived(&self) -> bool {
        let linux = self.document.spec.linux().as_ref();
        let namespaces = linux.and_then(|linux| linux.namespaces().as_ref());
        let own = |namespace: &LinuxNamespace| {
            namespace.typ() == LinuxNamespaceType::Pid && namespace.path().is_none()
        };
        !namespaces.is_some_and(|list| list.iter().any(own))
    }

    /// Its hooks, as they were when it was created.
    pub(super) fn hooks(&self) -> Result<Option<HooksPlan>> {
        let document = &self.document;
        HooksPlan::of(&document.spec, &document.id, &document.bundle)
    }
}

pub(super) fn new_document(
    id: &str,
    bundle: &Path,
    spec: Spec,
    pid: i32,
    cgroup: &Cgroup,
) -> Result<Document> {
    let rootfs = spec.root().as_ref().map(|root| bundle.join(root.path())).unwrap_or_default();
    // Without it nobody could tell the container's process from another later.
    let mark = Mark::of(pid)?;
    Ok(Document {
        version: VERSION,
        id: id.into(),
        bundle: bundle.into(),
        rootfs,
        pid,
        start_time: mark.start_time,
        pidfd_inode: mark.inode,
        cgroup: cgroup.path().into(),
        systemd: cgroup.scope().cloned(),
        created: jiff::Timestamp::now().to_string(),
        spec,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_names() {
        for (id, good) in [
            ("web-1", true),
            ("a.b_c+d", true),
            ("..", false),
            (".", false),
            ("", false),
            ("a/b", false),
            ("a b", false),
        ] {
            assert_eq!(directory(Path::new("/r"), id).is_ok(), good, "{id:?}");
        }
    }
}
