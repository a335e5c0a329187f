//! `start`: lets a created container run its program.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::Signal;

use super::flags::{CONTAINER, Given, Syntax};
use super::state::{Container, FIFO, OUTCOME, Status};
use super::{Globals, Verb};
use crate::error::{Error, Result};
use crate::hooks::HooksPlan;
use crate::plan::invalid;

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "start",
        about: "Run the program of a created container",
        words: CONTAINER,
        count: (1, 1),
        open: false,
        flags: &[],
    },
    start,
);

fn start(globals: &Globals, given: &Given) -> Result<u8> {
    let container = Container::load(&globals.root, &given.container()?)?;
    match container.stage()? {
        Status::Created => {}
        other => return Err(container.wrong(other, "start")),
    }
    if container.document.spec.process().is_none() {
        return Err(invalid("process", "is missing: there is no program to start"));
    }
    let hooks = container.hooks()?.filter(HooksPlan::during_start);
    let outcome = hooks.as_ref().map(|_| Outcome::open(&container)).transpose()?;
    let path = container.directory.join(FIFO);
    let failed = |operation: &'static str| {
        let path = path.clone();
        move |errno: rustix::io::Errno| Error::File {
            operation: operation.into(),
            path: path.clone(),
            source: errno.into(),
        }
    };
    // Without a reader (init has died meanwhile) this fails at once.
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fifo = rustix::fs::open(&path, flags, Mode::empty()).map_err(failed("open"))?;
    // Removed first: from here on the container counts as running, and nobody else can start it.
    rustix::fs::unlink(&path).map_err(failed("remove"))?;
    rustix::io::write(&fifo, b"s").map_err(failed("write"))?;
    if let Some(outcome) = outcome {
        outcome.wait()?;
    }
    if let Some(hooks) = hooks {
        hooks.poststart(container.document.pid).inspect_err(|_| stop(&container))?;
    }
    Ok(0)
}

/// Ends a container whose start failed after its program began. What comes of it shows in its state.
fn stop(container: &Container) {
    let signal = Signal::KILL.as_raw();
    let _ = container.cgroup().map(|cgroup| cgroup.signal_all(signal));
    let _ = container.signal(signal);
}

/// What init says of the start, if somebody has to know: nothing when its program runs.
struct Outcome {
    path: PathBuf,
    fifo: OwnedFd,
}

impl Outcome {
    fn open(container: &Container) -> Result<Self> {
        let path = container.directory.join(OUTCOME);
        // Init holds it open, so this is not the end of file that it will be later.
        match rustix::fs::open(&path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty()) {
            Ok(fifo) => Ok(Self { path, fifo }),
            Err(errno) => Err(Error::File { operation: "open".into(), path, source: errno.into() }),
        }
    }

    /// Until init has become its program, or has ended.
    fn wait(self) -> Result<()> {
        let failed = |errno: Errno| Error::File {
            operation: "read".into(),
            path: self.path.clone(),
            source: errno.into(),
        };
        let mut ready = [PollFd::new(&self.fifo, PollFlags::IN)];
        rustix::io::retry_on_intr(|| poll(&mut ready, None)).map_err(failed)?;
        let mut text = [0u8; LARGEST];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.fifo, &mut text)).map_err(failed)? {
            0 => Ok(()),
            length => Err(serde_json::from_slice(&text[..length]).unwrap_or(Error::InitDied)),
        }
    }
}

/// More than what a hook's failure can take.
const LARGEST: usize = 16 * 1024;
