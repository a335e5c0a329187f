//! `create`: a container whose program waits for `start`. `run` goes the same way up to there.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barge_oci::runtime_spec::Spec;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::flags::{CONTAINER, Flag, Given, Syntax};
use super::state::{self, Container, FIFO, OUTCOME, new_document};
use super::{Globals, Verb, inherited, log, streams, unfinished, warn};
use crate::Prepared;
use crate::cgroup::Driver;
use crate::create::Created;
use crate::document;
use crate::error::{Cause, Error, Result};
use crate::hooks::HooksPlan;
use crate::plan::invalid;
use crate::request::{Inputs, Request, Root, Stdio};
use crate::reservation::Reservation;

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "create",
        about: "Create a container; its program waits for `start`",
        words: CONTAINER,
        count: (1, 1),
        open: false,
        flags: &FLAGS,
    },
    create,
);

/// What `create` and `run` have in common.
pub(super) const FLAGS: [Flag; 8] = [
    Flag::with("bundle", "directory", "Directory with config.json (default: here)").or('b'),
    Flag::with("console-socket", "path", "Unix socket that gets the master of the terminal"),
    Flag::with("pidfd-socket", "path", "Unix socket that gets a pidfd of the container's first process"),
    Flag::with("pid-file", "file", "File to write the pid to"),
    Flag::switch(
        "no-pivot",
        "Change the root without pivot_root(2), which an initial ramdisk does not allow",
    ),
    Flag::switch("no-new-keyring", "Let the container see the caller's session keyring"),
    Flag::with("preserve-fds", "n", "How many descriptors above 2 (and $LISTEN_FDS) the program inherits"),
    Flag::with("criu", "path", ""),
];

/// What one `create` or `run` was given.
#[derive(Debug)]
pub(super) struct Arguments {
    bundle: PathBuf,
    pub(super) console_socket: Option<PathBuf>,
    pidfd_socket: Option<PathBuf>,
    pid_file: Option<PathBuf>,
    pivot: bool,
    own_keyring: bool,
    preserve_fds: u16,
    /// How many of the first descriptors above 2 are sockets of systemd's protocol.
    sockets: u16,
    /// Whether this process leaves while the container runs.
    detach: bool,
    id: String,
}

impl Arguments {
    pub(super) fn of(given: &Given, detach: bool) -> Result<Self> {
        let sockets = inherited::sockets();
        let preserve_fds = sockets.saturating_add(given.number("preserve-fds")?.unwrap_or(0));
        inherited::check(preserve_fds)?;
        Ok(Self {
            bundle: given.path("bundle").unwrap_or_else(|| ".".into()),
            console_socket: given.path("console-socket"),
            pidfd_socket: given.path("pidfd-socket"),
            pid_file: given.path("pid-file"),
            pivot: !given.on("no-pivot")?,
            own_keyring: !given.on("no-new-keyring")?,
            preserve_fds,
            sockets,
            detach,
            id: given.container()?,
        })
    }
}

fn create(globals: &Globals, given: &Given) -> Result<u8> {
    let arguments = Arguments::of(given, true)?;
    let (container, created) = make(globals, &arguments, Start::Later)?;
    if let (Some(console), Some(socket)) = (&created.console, &arguments.console_socket) {
        streams::send_console(socket, console).inspect_err(|_| discard(&container, &created))?;
    }
    Ok(0)
}

/// Who starts the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// This process.
    Now,
    /// Whoever writes into its FIFO.
    Later,
}

/// What its configuration does not say of a container.
#[derive(Debug, Clone, Copy)]
struct Manner {
    start: Start,
    driver: Driver,
}

/// Makes a container and its state. On failure nothing stays.
pub(super) fn make(globals: &Globals, arguments: &Arguments, start: Start) -> Result<(Container, Created)> {
    let bundle = fs::canonicalize(&arguments.bundle).map_err(|error| Error::File {
        operation: "open bundle".into(),
        path: arguments.bundle.clone(),
        source: error.into(),
    })?;
    let (spec, warnings) = document::load_spec(&bundle.join("config.json"))?;
    warnings.iter().for_each(|warning| warn(warning));
    check_terminal(arguments, &spec)?;
    if start == Start::Now && spec.process().is_none() {
        return Err(invalid("process", "is missing: there is no program to start"));
    }
    let reservation = state::reserve(&globals.root, &arguments.id)?;
    let manner = Manner { start, driver: globals.driver };
    make_in(&reservation, &bundle, arguments, spec, manner).inspect_err(|_| {
        if !reservation.is_anothers() {
            // The first failure is what the user wants to hear of.
            let _ = unfinished::remove_directory(reservation.path());
        }
    })
}

pub(super) fn has_terminal(spec: &Spec) -> bool {
    spec.process().as_ref().is_some_and(|process| process.terminal() == Some(true))
}

fn check_terminal(arguments: &Arguments, spec: &Spec) -> Result<()> {
    streams::check_console(has_terminal(spec), arguments.detach, arguments.console_socket.is_some())
}

fn make_in(
    reservation: &Arc<Reservation>,
    bundle: &Path,
    arguments: &Arguments,
    spec: Spec,
    manner: Manner,
) -> Result<(Container, Created)> {
    let id = arguments.id.clone();
    let directory = reservation.path();
    let request = Request {
        id: id.clone(),
        bundle: bundle.into(),
        spec: inherited::announce(spec.clone(), arguments.sockets),
        root: Root::Bundle,
        user: None,
        groups: Vec::new(),
        seccomp_cache: directory.parent().map(|root| root.join(".seccomp")),
    };
    let announce = unfinished::announce(directory, &spec, &id)?;
    let mut prepared = Prepared::announced(request, manner.driver, &announce, Some(Arc::clone(reservation)))?;
    prepared.preserved = arguments.preserve_fds;
    prepared.plan.root.pivot = arguments.pivot;
    prepared.plan.process.own_keyring = arguments.own_keyring;
    let stdio = if has_terminal(&spec) { Stdio::Terminal { size: None } } else { streams::own()? };
    let inputs = Inputs { stdio, netns: None };
    let mut created = match manner.start {
        Start::Now => prepared.create(inputs)?,
        Start::Later => {
            let hears = prepared.plan.hooks.as_ref().is_some_and(HooksPlan::during_start);
            let outcome = hears.then(|| make_fifo(&directory.join(OUTCOME))).transpose()?;
            prepared.create_behind(inputs, make_fifo(&directory.join(FIFO))?, outcome)?
        }
    };
    created.warnings.iter().for_each(|warning| log::note(warning));
    let document = new_document(&id, bundle, spec, created.pid, &created.cgroup);
    let saved = document.and_then(|document| Container::save(directory.into(), document));
    let saved = saved.and_then(|container| {
        if let Some(file) = &arguments.pid_file {
            write_pid(file, created.pid)?;
        }
        if let Some(socket) = &arguments.pidfd_socket {
            streams::send_pidfd(socket, &created.pidfd)?;
        }
        Ok(container.reserved(reservation))
    });
    match saved {
        Ok(container) => Ok((container, created)),
        Err(error) => {
            end(&created, reservation.is_anothers());
            // The failure is what the user wants to hear of.
            let _ = created.poststop().map(|hooks| hooks.run());
            Err(error)
        }
    }
}

/// Ends a container that can't be used and removes its state.
pub(super) fn discard(container: &Container, created: &Created) {
    end(created, container.is_anothers());
    // The failure that led here is the one to report.
    let _ = container.remove();
}

/// Its names may be another's by now; its process is not.
fn end(created: &Created, is_anothers: bool) {
    crate::create::kill_and_reap(&created.pidfd);
    if !is_anothers {
        let _ = created.cgroup.remove();
    }
}

/// Init waits at the FIFO for a byte. Both of its ends are open there, so that it sees no end of file meanwhile.
fn make_fifo(path: &Path) -> Result<OwnedFd> {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)
        .and_then(|()| rustix::fs::open(path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()))
        .map_err(|errno| Error::File { operation: "make".into(), path: path.into(), source: errno.into() })
}

pub(super) fn write_pid(file: &Path, pid: i32) -> Result<()> {
    let failed = |source: Cause| Error::File { operation: "write".into(), path: file.into(), source };
    let name = file.file_name().ok_or_else(|| failed(Errno::ISDIR.into()))?;
    let own = format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id());
    let temporary = file.with_file_name(own);
    // Never through a file or a link that somebody has put there: the directory may be anybody's.
    let make = || fs::OpenOptions::new().write(true).create_new(true).open(&temporary);
    let made = make().or_else(|error| match error.kind() {
        ErrorKind::AlreadyExists => fs::remove_file(&temporary).and_then(|()| make()),
        _ => Err(error),
    });
    let mut made = made.map_err(|error| failed(error.into()))?;
    made.write_all(pid.to_string().as_bytes()).and_then(|()| fs::rename(&temporary, file)).map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(error.into())
    })
}
