//! One run of CRIU as a worker of ours: `criu swrk FD`, a child that answers on a socket.
//!
//! ```text
//! us ──clone3──> child: cgroup, mounts (a restore only), streams ──execve──> criu swrk FD
//!    <────────── descriptors of ours by their number in our /proc directory; of its own by number
//! ```
//!
//! CRIU undoes a failed dump by itself as soon as it sees our end closed, so it is never killed, only waited for.

use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use barge_sys::process::{
    CloneArgs, Cloned, StandardStream, clone3, close_on_exec_from, duplicate_onto, reset_signals,
};
use prost::Message;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{Errno, FdFlags};
use rustix::process::{WaitId, WaitIdOptions};

use super::log;
use super::options::Directories;
use super::rpc::{CriuOptions, Features, Kind, Notice, Request, Response};
use crate::cgroup::Entry;
use crate::channel::{Channel, Report};
use crate::create::{Born, follow, started};
use crate::error::{Error, Result};
use crate::init;
use crate::process::program;

/// CRIU, found and asked for its version.
#[derive(Debug)]
pub(super) struct Criu {
    program: CString,
    /// As [`super::rpc::Version::number`].
    pub(super) version: i32,
}

/// The first version with which one can talk so.
const OLDEST: i32 = 30_000;

impl Criu {
    /// Finds CRIU and asks for its version.
    pub(super) fn find(name: &Path) -> Result<Self> {
        let failed = |reason: String| Error::CriuUnusable { reason };
        let text = CString::new(name.as_os_str().as_bytes())
            .map_err(|_| failed("its name has a zero byte".into()))?;
        let program = program::find(&text, &environment()).map_err(|error| failed(error.to_string()))?;
        let mut criu = Self { program, version: 0 };
        let (response, _) = criu.ask_once(&Request::new(Kind::Version))?;
        criu.version = response.version.ok_or_else(|| failed("CRIU tells no version".into()))?.number();
        criu.check(OLDEST, "checkpoint and restore")?;
        Ok(criu)
    }

    /// Fails unless CRIU is at least this version, which `what` needs.
    pub(super) fn check(&self, version: i32, what: &str) -> Result<()> {
        if self.version >= version {
            return Ok(());
        }
        let reason = format!("{what} needs CRIU version {version} or higher; this is {}", self.version);
        Err(Error::CriuUnusable { reason })
    }

    /// Fails unless CRIU and the kernel have the features.
    pub(super) fn check_features(&self, wanted: Features) -> Result<()> {
        let request = Request { features: Some(wanted), ..Request::new(Kind::FeatureCheck) };
        let (response, _) = self.ask_once(&request)?;
        let found = response.features.unwrap_or_default();
        let missing = [
            (wanted.mem_track() && !found.mem_track(), "MemTrack"),
            (wanted.lazy_pages() && !found.lazy_pages(), "LazyPages"),
        ];
        let missing: Vec<&str> = missing.iter().filter(|(lacks, _)| *lacks).map(|(_, name)| *name).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::CriuUnusable { reason: format!("criu is missing features: {}", missing.join(", ")) })
    }

    /// A question without a log. What CRIU says of a kernel that it does not like goes to its own standard error.
    fn ask_once(&self, request: &Request) -> Result<(Response, Vec<OwnedFd>)> {
        let service = self.start(Launch::default(), |_| Ok(()))?;
        service.send(request)?;
        match service.receive()? {
            Some((response, fds)) if response.success => Ok((response, fds)),
            _ => {
                let kind = Kind::try_from(request.kind).map_or("request", Kind::name);
                Err(Error::CriuUnusable { reason: format!("CRIU refuses a {kind}; see `criu check`") })
            }
        }
    }

    /// Starts a worker. `before` runs in it, before it becomes CRIU; it may send something to [`Service::given`].
    pub(super) fn start(
        &self,
        launch: Launch<'_>,
        before: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<Service> {
        let (ours, theirs) =
            barge_sys::socket::pair_seqpacket().map_err(|error| Error::Channel { source: error.into() })?;
        let (parent, child) = Channel::pair()?;
        let args = CloneArgs {
            namespaces: launch.namespaces,
            cgroup: launch.entry.and_then(|entry| entry.birth()).map(AsFd::as_fd),
            ..CloneArgs::default()
        };
        let (pid, pidfd) = match clone3(args).map_err(|error| Error::Clone { source: error.into() })? {
            Cloned::Child => {
                // With ends of its own to them it would never see that we are gone.
                drop((ours, parent));
                init::run(&child, || {
                    launch.settle()?;
                    before(&theirs)?;
                    let number = theirs.as_raw_fd();
                    launch.pass_on(&theirs)?;
                    child.report(&Report::Ready { warnings: Vec::new() }, None)?;
                    if !child.wait()? {
                        return Err(Error::InitDied);
                    }
                    let number = CString::new(number.to_string()).unwrap_or_default();
                    let arguments = [c"criu".to_owned(), c"swrk".to_owned(), number];
                    Err(program::become_it(&self.program, &arguments, &environment()))
                })
            }
            Cloned::Parent { pid, pidfd } => (pid, pidfd),
        };
        drop((child, theirs));
        follow(&Born { channel: &parent, pid, pidfd: &pidfd }, |_| Ok(None), None)?;
        started(&parent, &pidfd)?;
        Ok(Service { socket: Some(ours), pid, pidfd })
    }
}

fn environment() -> Vec<CString> {
    let variable = |(name, value): (OsString, OsString)| {
        CString::new([name.into_vec(), b"=".to_vec(), value.into_vec()].concat()).ok()
    };
    std::env::vars_os().filter_map(variable).collect()
}

/// What a worker begins with.
#[derive(Debug, Default)]
pub(super) struct Launch<'a> {
    pub(super) streams: Streams,
    /// Whether it stays in our process group, because a job of our shell's is what it restores.
    pub(super) of_our_job: bool,
    /// `CLONE_NEW*` of namespaces of its own.
    pub(super) namespaces: u64,
    /// The cgroup that it enters.
    pub(super) entry: Option<&'a Entry>,
    /// Descriptors that it needs besides, under the numbers they have with us.
    pub(super) passed: Vec<&'a OwnedFd>,
}

/// The standard streams of a worker.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    #[default]
    Null,
    /// Ours, for what it restores.
    Own,
}

impl Launch<'_> {
    fn settle(&self) -> Result<()> {
        let failed =
            |what: &str, error: std::io::Error| Error::Attribute { what: what.into(), source: error.into() };
        reset_signals().map_err(|error| failed("signals", error))?;
        if !self.of_our_job {
            // What interrupts us at the terminal must not interrupt it in the midst of its work, which it undoes when
            // we are gone.
            rustix::process::setpgid(None, None).map_err(|errno| failed("process group", errno.into()))?;
        }
        if self.streams == Streams::Null {
            let null = rustix::fs::openat(CWD, "/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
                .map_err(|errno| failed("standard streams", errno.into()))?;
            for stream in [StandardStream::Input, StandardStream::Output, StandardStream::Error] {
                duplicate_onto(null.as_fd(), stream).map_err(|error| failed("standard streams", error))?;
            }
        }
        match self.entry {
            Some(entry) => entry.enter().map_err(|errno| failed("cgroup of the container", errno.into())),
            None => Ok(()),
        }
    }

    fn pass_on(&self, socket: &OwnedFd) -> Result<()> {
        let failed = |source| Error::Attribute { what: "descriptors".into(), source };
        close_on_exec_from(3).map_err(|error| failed(error.into()))?;
        self.passed.iter().copied().chain([socket]).try_for_each(|fd| {
            rustix::io::fcntl_setfd(fd, FdFlags::empty()).map_err(|errno| failed(errno.into()))
        })
    }
}

/// A worker that runs. Dropped, it is left to end by itself and waited for.
#[derive(Debug)]
pub(super) struct Service {
    socket: Option<OwnedFd>,
    pub(super) pid: i32,
    pidfd: OwnedFd,
}

impl Service {
    fn send(&self, request: &Request) -> Result<()> {
        let Some(socket) = &self.socket else { return Err(Error::Channel { source: Errno::PIPE.into() }) };
        match barge_sys::socket::send_with_fds(socket, &request.encode_to_vec(), &[]) {
            // That it has ended shows when its answer is waited for.
            Err(error) if Errno::from_io_error(&error) != Some(Errno::PIPE) => {
                Err(Error::Channel { source: error.into() })
            }
            _ => Ok(()),
        }
    }

    /// The descriptors that the worker sent before it became CRIU.
    pub(super) fn given(&self) -> Result<Vec<OwnedFd>> {
        let failed = |error: std::io::Error| Error::Channel { source: error.into() };
        let Some(socket) = &self.socket else { return Ok(Vec::new()) };
        let packet = barge_sys::socket::recv_with_fds(socket).map_err(failed)?;
        Ok(packet.map(|packet| packet.fds).unwrap_or_default())
    }

    /// The next answer; `None` when it has ended instead.
    fn receive(&self) -> Result<Option<(Response, Vec<OwnedFd>)>> {
        let failed = |errno: Errno| Error::Channel { source: errno.into() };
        let Some(socket) = &self.socket else { return Ok(None) };
        loop {
            let mut ready = [rustix::event::PollFd::new(socket, rustix::event::PollFlags::IN)];
            rustix::io::retry_on_intr(|| rustix::event::poll(&mut ready, None)).map_err(failed)?;
            let packet = barge_sys::socket::recv_with_fds(socket)
                .map_err(|error| Error::Channel { source: error.into() })?;
            match packet {
                None => {}
                Some(packet) if packet.bytes.is_empty() => return Ok(None),
                Some(packet) => {
                    let response =
                        Response::decode(packet.bytes.as_slice()).map_err(|_| failed(Errno::BADMSG))?;
                    return Ok(Some((response, packet.fds)));
                }
            }
        }
    }

    /// Has CRIU do one thing and returns its last answer. `heed` is called at each point that it reports; a failure
    /// of it makes CRIU stop and undo, and is the failure of the whole.
    pub(super) fn perform(
        mut self,
        kind: Kind,
        options: CriuOptions,
        directories: &Directories,
        mut heed: impl FnMut(&Notice, Vec<OwnedFd>) -> Result<()>,
    ) -> Result<Response> {
        self.send(&Request { options: Some(Box::new(options)), ..Request::new(kind) })?;
        let mut refused = None;
        let response = loop {
            let Some((response, fds)) = self.receive()? else { break None };
            match &response.notify {
                Some(notice) if response.kind() == Kind::Notify && response.success => {
                    let heeded = if refused.is_none() { heed(notice, fds) } else { Ok(()) };
                    refused = refused.or(heeded.err());
                    let word =
                        Request { notify_success: Some(refused.is_none()), ..Request::new(Kind::Notify) };
                    self.send(&word)?;
                }
                _ => break Some(response),
            }
        };
        let ended = self.end();
        if let Some(error) = refused {
            return Err(error);
        }
        let said = response.as_ref().filter(|response| response.success);
        // After a pre-dump it waits for the next one, and takes our leaving for a failure.
        match said {
            Some(response) if ended == Some(0) || kind == Kind::PreDump => Ok(response.clone()),
            _ => Err(failure(kind, response.as_ref(), directories)),
        }
    }

    /// Leaves it and waits; its exit code.
    fn end(&mut self) -> Option<i32> {
        self.socket.take()?;
        let wait = || rustix::process::waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED);
        rustix::io::retry_on_intr(wait).ok().flatten()?.exit_status()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

fn failure(kind: Kind, response: Option<&Response>, directories: &Directories) -> Error {
    let said = response.and_then(|response| response.message.clone()).filter(|message| !message.is_empty());
    let reason = log::last_errors(&directories.log).or(said);
    Error::Criu {
        // As runc says it, which containerd's users know.
        request: response.map_or(kind, Response::kind).name().into(),
        errno: response.map_or(0, Response::errno),
        reason: reason.unwrap_or_else(|| "it gives no reason".into()),
        log: directories.log.clone(),
    }
}

/// The number of a descriptor that a worker was passed, as CRIU wants it.
pub(super) fn number(fd: &OwnedFd) -> i32 {
    fd.as_raw_fd()
}

/// A name as CRIU takes it.
pub(super) fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
