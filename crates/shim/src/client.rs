//! The daemon's end of a shim: spawn or find it, call it, hear its events.
//!
//! One task per connection reads packets and hands replies to their callers; it ends with the connection
//! and reaps the shim if this process spawned it. A [`Shim`] is a cheap handle that may be cloned and used
//! from many tasks at once. Dropping every handle neither stops the shim nor closes the connection.

mod connection;
mod spawn;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use barge_oci::runtime_spec::LinuxResources;
use tokio::sync::mpsc;

use crate::protocol::{Answer, Attach, Event, Exec, Failure, Request, Started, State, Stats};
use crate::{Error, Result};
use connection::Connection;
pub use spawn::reclaim;

/// What a shim reports. The channel's end without an [`Event::Exited`] means that the shim died.
pub type Events = mpsc::UnboundedReceiver<Event>;

/// A handle to one container's shim.
#[derive(Debug, Clone)]
pub struct Shim {
    connection: Arc<Connection>,
}

impl Shim {
    /// Spawns a shim for a bundle that holds `config.json` and `shim.json`; `exe` is this program.
    ///
    /// Must be called in a tokio runtime. The shim prepares the container while the caller goes on, and gives up
    /// if the caller dies before [`Shim::start`].
    pub fn spawn(exe: &Path, bundle: &Path) -> Result<(Self, Events)> {
        let (socket, child) = spawn::spawn(exe, bundle)?;
        Self::over(socket, Some(child))
    }

    /// Connects to the shim that runs for a bundle. Must be called in a tokio runtime.
    pub fn connect(bundle: &Path) -> Result<(Self, Events)> {
        let path = bundle.join("shim.sock");
        let socket =
            barge_sys::socket::connect_seqpacket(&path).map_err(|source| Error::Connect { path, source })?;
        Self::over(socket, None)
    }

    fn over(socket: OwnedFd, child: Option<std::process::Child>) -> Result<(Self, Events)> {
        let (events, receiver) = mpsc::unbounded_channel();
        let connection = Connection::open(socket, events, child)?;
        Ok((Self { connection }, receiver))
    }

    /// Creates the container and runs its program; returns when the program runs.
    ///
    /// `hold` are sockets that the shim keeps open while the container lives (reserved ports).
    /// On failure the shim has cleaned up and leaves.
    pub async fn start(&self, netns: Option<OwnedFd>, hold: Vec<OwnedFd>) -> Result<Started> {
        let fds: Vec<_> = netns.iter().chain(&hold).map(AsFd::as_fd).collect();
        match self.call(Request::Start { netns: netns.is_some() }, &fds).await? {
            Answer::Started(started) => Ok(started),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Joins a client to the container's streams, or to those of `attach.exec`. Before Start it waits for the first byte.
    ///
    /// The shim writes to, reads from and finally closes `socket`; whether it blocks does not matter.
    pub async fn attach(&self, attach: Attach, socket: OwnedFd) -> Result<()> {
        self.done(Request::Attach(attach), &[socket.as_fd()]).await
    }

    /// Runs one more process; returns when its program runs. `sockets` belong to `exec.attach`, in order.
    ///
    /// When it fails, `sockets` have not been written to: the caller who wants to tell the client keeps duplicates.
    pub async fn exec(&self, exec: Exec, sockets: Vec<OwnedFd>) -> Result<Started> {
        let fds: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
        match self.call(Request::Exec(Box::new(exec)), &fds).await? {
            Answer::Started(started) => Ok(started),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Sends a signal to the container's first process, or to an exec's.
    pub async fn signal(&self, signal: i32, exec: Option<&str>) -> Result<()> {
        self.done(Request::Signal { signal, exec: exec.map(str::to_owned) }, &[]).await
    }

    /// Sends a signal to every process of the container.
    pub async fn signal_all(&self, signal: i32) -> Result<()> {
        self.done(Request::SignalAll { signal }, &[]).await
    }

    /// Sets the size of the container's terminal, or of an exec's.
    pub async fn resize(&self, exec: Option<&str>, cols: u16, rows: u16) -> Result<()> {
        self.done(Request::Resize { exec: exec.map(str::to_owned), cols, rows }, &[]).await
    }

    /// Freezes the container's processes.
    pub async fn pause(&self) -> Result<()> {
        self.done(Request::Pause, &[]).await
    }

    /// Lets frozen processes go on.
    pub async fn unpause(&self) -> Result<()> {
        self.done(Request::Unpause, &[]).await
    }

    /// Changes the limits that `resources` names.
    pub async fn update(&self, resources: LinuxResources) -> Result<()> {
        self.done(Request::Update { resources: Box::new(resources) }, &[]).await
    }

    /// The container's processes, by their pids on the host.
    pub async fn processes(&self) -> Result<Vec<i32>> {
        match self.call(Request::Processes, &[]).await? {
            Answer::Processes(pids) => Ok(pids),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Closes the standard input of the container, or of an exec.
    pub async fn close_stdin(&self, exec: Option<&str>) -> Result<()> {
        self.done(Request::CloseStdin { exec: exec.map(str::to_owned) }, &[]).await
    }

    /// How the container is.
    pub async fn state(&self) -> Result<State> {
        match self.call(Request::State, &[]).await? {
            Answer::State(state) => Ok(state),
            answer => Err(unexpected(&answer)),
        }
    }

    /// What the container uses.
    pub async fn stats(&self) -> Result<Stats> {
        match self.call(Request::Stats, &[]).await? {
            Answer::Stats(stats) => Ok(*stats),
            answer => Err(unexpected(&answer)),
        }
    }

    /// Tells a shim that was never started to give up. Its events end when it has cleaned up and left.
    ///
    /// One that was started goes on without this daemon; then the events end at once.
    pub fn abandon(&self) {
        self.connection.close();
    }

    async fn done(&self, request: Request, fds: &[BorrowedFd<'_>]) -> Result<()> {
        match self.call(request, fds).await? {
            Answer::Done => Ok(()),
            answer => Err(unexpected(&answer)),
        }
    }

    async fn call(&self, request: Request, fds: &[BorrowedFd<'_>]) -> Result<Answer> {
        self.connection.call(request, fds).await
    }
}

fn unexpected(answer: &Answer) -> Error {
    Error::Refused(Failure::system(format!("the shim's answer {answer:?} does not belong to the request")))
}
