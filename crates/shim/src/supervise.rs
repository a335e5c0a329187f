//! The shim process: one container from before its birth to its exit record.
//!
//! ```text
//! boot      own session, subreaper, signals; read shim.json and config.json
//! Prepared  runtime::Prepared::new (the daemon builds the network meanwhile); shim.sock, shim.pid; wait for Start
//!             no daemon left ──> undo, leave          Start fails ──> undo, reply, leave
//! Running   copy streams, serve daemons, run execs, reap
//! Ended     the first process is reaped: kill what is left, write out its last output (at most 2 s, as Docker waits)
//! Reported  log closed, cgroup and socket gone, exit.json there, Exited sent; clients read the rest, at most 10 s
//! ```
//!
//! Everything happens in one thread and one epoll loop. Nothing in it waits for a daemon or a client.

mod control;
mod end;
mod exec;
mod requests;
mod start;

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use barge_oci::runtime_spec::{LinuxNamespace, LinuxNamespaceType, Spec};
use barge_runtime::cgroup::OomWatch;
use barge_runtime::{Cgroup, Poststop, Prepared};
use barge_sys::signal::SignalFd;
use jiff::Timestamp;
use rustix::process::Signal;

use crate::config::{Config, LogConfig};
use crate::io::{BUFFER, Streams};
use crate::logs::Driver;
use crate::logs::json_file::JsonFile;
use crate::poller::{Interest, Poller, Ready, Token};
use crate::protocol::Failure;
use crate::record::{replace, report};
use crate::{Error, Result};
use control::Control;
use exec::ExecTask;

/// The number of the container's own streams in tokens; execs count from 1.
const CONTAINER: u32 = 0;

/// The shim's entry: `barge-shim BUNDLE`, with the first daemon's connection as standard input.
///
/// `args` begin after the program's name; a leading word `shim` is skipped.
pub fn main(args: &[OsString]) -> ExitCode {
    let args = match args {
        [word, rest @ ..] if word == "shim" => rest,
        args => args,
    };
    let result = match args {
        [word, path] if word == crate::logs::COMPRESS => crate::logs::compress(Path::new(path))
            .map_err(|source| Error::Write { path: PathBuf::from(path), source }),
        [bundle] => Supervisor::boot(PathBuf::from(bundle)).and_then(Supervisor::run),
        _ => Err(Error::Usage),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// The whole state of a shim.
struct Supervisor {
    bundle: PathBuf,
    config: Config,
    poller: Poller,
    signals: SignalFd,
    listener: OwnedFd,
    controls: Vec<Control>,
    next_control: u32,
    phase: Phase,
    plan: Plan,
    streams: Streams,
    execs: Vec<ExecTask>,
    next_process: u32,
    /// Sockets that keep the container's ports reserved, and its root filesystem.
    held: Vec<OwnedFd>,
    buffer: Box<[u8]>,
}

/// What the shim itself needs of the specification.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    /// The container has a terminal instead of pipes.
    terminal: bool,
    /// Its processes die with its first one: it has a pid namespace of its own.
    dies_as_one: bool,
}

/// Where the container is in its life.
enum Phase {
    /// Waiting for Start, with what could be done before it or the reason why it couldn't.
    Prepared(Result<Box<Prepared>, Failure>),
    /// Its first process runs.
    Running(Running),
    /// Its first process is reaped.
    Ended(Ended),
    /// All is done but for clients that still read.
    Reported { until: Instant },
    /// Nothing is left to do.
    Over,
}

/// A container whose first process runs.
struct Running {
    pid: i32,
    pidfd: OwnedFd,
    cgroup: Cgroup,
    started_at: Timestamp,
    paused: bool,
    /// What the specification wants to be run when the container is gone.
    poststop: Option<Poststop>,
    /// Tells of want of memory while the container lives on.
    memory: Option<OomWatch>,
    /// Daemons have been told of it.
    oom_told: bool,
}

/// A container whose first process is reaped.
struct Ended {
    pid: i32,
    cgroup: Cgroup,
    started_at: Timestamp,
    finished_at: Timestamp,
    exit_code: i32,
    oom_told: bool,
    poststop: Option<Poststop>,
    /// When the output that is still to come is given up.
    deadline: Instant,
}

impl Supervisor {
    /// All that happens before the first packet is read.
    fn boot(bundle: PathBuf) -> Result<Self> {
        let bundle = std::path::absolute(&bundle).map_err(|source| Error::Read { path: bundle, source })?;
        // What the daemon's own parent left open in it would stay open for as long as the container lives.
        barge_sys::inherited::close_from(3)
            .map_err(|source| watch_failed("inherited descriptors", source))?;
        let first = take_stdin()?;
        // Already the leader of a session when started by hand.
        let _ = rustix::process::setsid();
        // Orphans of the container come here to be reaped, and not to the daemon or init.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| watch_failed("orphans", error.into()))?;
        let watched =
            [Signal::CHILD, Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT].map(Signal::as_raw);
        let signals = SignalFd::block(&watched).map_err(|source| watch_failed("signals", source))?;
        let config = Config::load(&bundle)?;
        // What is wrong with the specification is the answer to Start.
        let (plan, prepared) = match read_spec(&bundle) {
            Ok((spec, warnings)) => {
                warnings.iter().for_each(|warning| report(warning));
                (Plan::of(&spec), prepare(&bundle, &config, spec))
            }
            Err(error) => (Plan::default(), Err(error)),
        };
        let prepared = prepared.map(Box::new).map_err(Failure::from);
        let listener = barge_sys::socket::listen_seqpacket(&bundle.join("shim.sock"))
            .map_err(|source| watch_failed("shim.sock", source))?;
        replace(&bundle.join("shim.pid"), std::process::id().to_string().as_bytes())?;
        let poller = Poller::open().map_err(|source| watch_failed("events", source))?;
        let log = open_log(&config.log);
        let mut supervisor = Self {
            streams: Streams::new(CONTAINER, config.stdin, plan.terminal, log),
            bundle,
            config,
            poller,
            signals,
            listener,
            controls: Vec::new(),
            next_control: 0,
            phase: Phase::Prepared(prepared),
            plan,
            execs: Vec::new(),
            next_process: CONTAINER + 1,
            held: Vec::new(),
            buffer: vec![0; BUFFER].into_boxed_slice(),
        };
        supervisor.watch_first(first)?;
        Ok(supervisor)
    }

    fn watch_first(&mut self, daemon: OwnedFd) -> Result<()> {
        let watch = |what| move |source| watch_failed(what, source);
        self.poller.add(&self.signals, Token::Signals, Interest::READ).map_err(watch("signals"))?;
        self.poller.add(&self.listener, Token::Listener, Interest::READ).map_err(watch("shim.sock"))?;
        self.add_control(daemon).map_err(watch("the daemon's connection"))
    }

    /// The loop: until there is nothing left to do.
    fn run(mut self) -> Result<()> {
        while !matches!(self.phase, Phase::Over) {
            let timeout = self.deadline().map(|at| at.saturating_duration_since(Instant::now()));
            for ready in self.poller.wait(timeout).map_err(|source| watch_failed("events", source))? {
                self.handle(ready);
            }
            self.advance();
        }
        Ok(())
    }

    fn handle(&mut self, ready: Ready) {
        match ready.token {
            Token::Signals => self.on_signals(),
            Token::Memory => self.on_memory(),
            Token::Listener => self.on_listener(),
            Token::Control(number) => self.on_control(number),
            Token::Output(process, which) => {
                if let Some((streams, poller, buffer)) = self.streams_of(process) {
                    // What is left comes up again in the next round.
                    let _ = streams.on_output(poller, which, buffer);
                }
            }
            Token::Input(process) => {
                if let Some((streams, poller, buffer)) = self.streams_of(process) {
                    streams.on_input(poller, buffer);
                }
            }
            Token::Client(process, client) => self.on_client(process, client, ready),
        }
    }

    /// The streams of a process with what their methods need besides.
    fn streams_of(&mut self, process: u32) -> Option<(&mut Streams, &Poller, &mut [u8])> {
        let streams = match process {
            CONTAINER => &mut self.streams,
            _ => &mut self.execs.iter_mut().find(|exec| exec.number == process)?.streams,
        };
        Some((streams, &self.poller, &mut self.buffer))
    }

    /// The moment at which [`Self::advance`] has something to do though nothing happened.
    fn deadline(&self) -> Option<Instant> {
        let own = match &self.phase {
            Phase::Ended(ended) => Some(ended.deadline),
            Phase::Reported { until } => Some(*until),
            _ => None,
        };
        self.execs.iter().filter_map(ExecTask::deadline).chain(own).min()
    }
}

/// Takes over the connection that was given as standard input, and leaves `/dev/null` there.
fn take_stdin() -> Result<OwnedFd> {
    let take = || -> io::Result<OwnedFd> {
        let socket = io::stdin().as_fd().try_clone_to_owned()?;
        let null = fs::File::open("/dev/null")?;
        rustix::stdio::dup2_stdin(null)?;
        Ok(socket)
    };
    take().map_err(|source| watch_failed("the daemon's connection", source))
}

fn watch_failed(what: &'static str, source: io::Error) -> Error {
    Error::Watch { what, source }
}

/// Opens the log; without it the container still runs, as with a full disk.
fn open_log(config: &LogConfig) -> Option<Box<dyn Driver>> {
    match config {
        LogConfig::None => None,
        LogConfig::JsonFile(config) => match JsonFile::open(config) {
            Ok(log) => Some(Box::new(log)),
            Err(error) => {
                report(&format!("open the log {:?}: {error}", config.path));
                None
            }
        },
    }
}

fn prepare(bundle: &Path, config: &Config, spec: Spec) -> Result<Prepared> {
    Ok(Prepared::new(barge_runtime::Request {
        id: config.id.clone(),
        bundle: bundle.to_owned(),
        spec,
        root: config.root.clone(),
        user: config.user.clone(),
        groups: config.groups.clone(),
        seccomp_cache: config.seccomp_cache.clone(),
    })?)
}

/// Reads `config.json` of a bundle. It is read again for each exec rather than kept in memory; what it has that the
/// runtime can't make use of is told once, at the beginning.
pub(crate) fn load_spec(bundle: &Path) -> Result<Spec> {
    Ok(read_spec(bundle)?.0)
}

fn read_spec(bundle: &Path) -> Result<(Spec, Vec<String>)> {
    Ok(barge_runtime::load_spec(&bundle.join("config.json"))?)
}

impl Plan {
    fn of(spec: &Spec) -> Self {
        let namespaces = spec.linux().as_ref().and_then(|linux| linux.namespaces().as_deref());
        let own_pids = |namespace: &LinuxNamespace| {
            namespace.typ() == LinuxNamespaceType::Pid && namespace.path().is_none()
        };
        Self {
            terminal: spec.process().as_ref().and_then(|process| process.terminal()).unwrap_or(false),
            dies_as_one: namespaces.unwrap_or_default().iter().any(own_pids),
        }
    }
}

/// How long output is waited for that may still come from processes which outlive the one that is followed: Docker's 2 s.
const DRAIN: Duration = Duration::from_secs(2);

/// How long clients have to read what is left for them once the container is gone.
const LINGER: Duration = Duration::from_secs(10);
