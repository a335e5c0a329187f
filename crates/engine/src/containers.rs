//! Containers: one owner task each, found by ID, name or the start of an ID; one verb a file.

use std::sync::Arc;

use barge_api::Filters;
use barge_api::containers::{
    ContainerInspect, ContainerPrune, ContainerSummary, CreateRequest, CreateResponse, TopResponse, UpdateRequest,
    UpdateResponse, WaitCondition, WaitResponse,
};
use bytes::Bytes;
use futures_util::Stream;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::engine::Engine;
use crate::error::Result;

use std::future::Future;
use std::os::fd::OwnedFd;
use std::pin::Pin;

/// A connection that a client has given up to a container's standard streams.
pub enum ClientStream {
    /// A raw unix or TCP socket, after the hijack, and the bytes that were read from it beyond the request.
    Socket(OwnedFd, Bytes),
    /// Anything else that carries bytes both ways (TLS, websocket): bridged by the engine.
    Duplex(Box<dyn Duplex>),
}

/// Bytes both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Duplex for T {}

/// `POST /containers/{id}/attach`.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Replay what was logged before.
    pub logs: bool,
    /// Stay attached.
    pub stream: bool,
    /// `ctrl-p,ctrl-q` in Docker's words; `None` takes that.
    pub detach_keys: Option<String>,
}

/// `GET /containers/{id}/logs`. Times as the query has them: Unix seconds with a fraction, RFC 3339 or a duration.
#[derive(Clone, Debug, Default)]
pub struct LogsOptions {
    pub follow: bool,
    pub stdout: bool,
    pub stderr: bool,
    pub since: String,
    pub until: String,
    pub timestamps: bool,
    pub details: bool,
    /// `all`, empty or a number of lines.
    pub tail: String,
}

/// A container's log as it goes to the client.
pub struct Logs {
    /// True: raw bytes (the container has a terminal); false: Docker's 8-byte frames are in the bytes already.
    pub tty: bool,
    pub stream: Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>,
}

/// `GET /containers/json`.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    pub all: bool,
    pub limit: Option<usize>,
    pub size: bool,
    pub filters: Filters,
}

/// `DELETE /containers/{id}`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    pub force: bool,
    pub volumes: bool,
    pub link: bool,
}

/// `POST /containers/{id}/stop` and `restart`.
#[derive(Clone, Debug, Default)]
pub struct StopOptions {
    /// Name or number; `None` takes the container's.
    pub signal: Option<String>,
    /// Seconds; -1 waits for ever; `None` takes the container's.
    pub timeout: Option<i64>,
}

/// All containers of one engine.
pub struct Containers {}

impl Containers {
    /// No container yet.
    pub(crate) fn new() -> Self {
        Self {}
    }

    /// Reads `DATA_ROOT/containers`, connects to the shims that live and finishes what a dead daemon began.
    pub(crate) async fn restore(engine: &Arc<Engine>) -> Result<()> {
        let _ = engine;
        Ok(())
    }

    /// Makes a container from an image; 404 `No such image: NAME` if the store lacks it.
    pub async fn create(
        &self,
        engine: &Arc<Engine>,
        name: Option<&str>,
        platform: Option<&str>,
        request: CreateRequest,
    ) -> Result<CreateResponse> {
        let _ = (engine, name, platform, request);
        todo!()
    }

    /// Starts it; [`Kind::NotModified`](crate::Kind::NotModified) if it runs.
    pub async fn start(&self, engine: &Arc<Engine>, id: &str) -> Result<()> {
        let _ = (engine, id);
        todo!()
    }

    /// Asks it to end, then kills it; [`Kind::NotModified`](crate::Kind::NotModified) if it does not run.
    pub async fn stop(&self, engine: &Arc<Engine>, id: &str, options: StopOptions) -> Result<()> {
        let _ = (engine, id, options);
        todo!()
    }

    /// Stops it if it runs, and starts it.
    pub async fn restart(&self, engine: &Arc<Engine>, id: &str, options: StopOptions) -> Result<()> {
        let _ = (engine, id, options);
        todo!()
    }

    /// Sends a signal, by name or number; `None` is SIGKILL.
    pub async fn kill(&self, engine: &Arc<Engine>, id: &str, signal: Option<&str>) -> Result<()> {
        let _ = (engine, id, signal);
        todo!()
    }

    /// Freezes its processes.
    pub async fn pause(&self, engine: &Arc<Engine>, id: &str) -> Result<()> {
        let _ = (engine, id);
        todo!()
    }

    /// Thaws its processes.
    pub async fn unpause(&self, engine: &Arc<Engine>, id: &str) -> Result<()> {
        let _ = (engine, id);
        todo!()
    }

    /// Removes it with its root filesystem and logs.
    pub async fn remove(&self, engine: &Arc<Engine>, id: &str, options: RemoveOptions) -> Result<()> {
        let _ = (engine, id, options);
        todo!()
    }

    /// Gives it another name.
    pub async fn rename(&self, engine: &Arc<Engine>, id: &str, name: &str) -> Result<()> {
        let _ = (engine, id, name);
        todo!()
    }

    /// Changes its limits and restart policy.
    pub async fn update(&self, engine: &Arc<Engine>, id: &str, request: UpdateRequest) -> Result<UpdateResponse> {
        let _ = (engine, id, request);
        todo!()
    }

    /// Registers a wait before it returns, so that nothing is missed between this call and the future's first poll.
    pub fn wait(
        &self,
        id: &str,
        condition: WaitCondition,
    ) -> Result<impl Future<Output = WaitResponse> + Send + 'static + use<>> {
        let _ = (id, condition);
        Ok(async { todo!() })
    }

    /// Containers that pass the filters, newest first.
    pub async fn list(&self, engine: &Arc<Engine>, options: ListOptions) -> Result<Vec<ContainerSummary>> {
        let _ = (engine, options);
        todo!()
    }

    /// Everything about one.
    pub async fn inspect(&self, engine: &Arc<Engine>, id: &str, size: bool) -> Result<ContainerInspect> {
        let _ = (engine, id, size);
        todo!()
    }

    /// What it wrote.
    pub async fn logs(&self, engine: &Arc<Engine>, id: &str, options: LogsOptions) -> Result<Logs> {
        let _ = (engine, id, options);
        todo!()
    }

    /// Whether an attach may be: its answer is whether the container has a terminal (raw stream) or not
    /// (multiplexed). Called before the connection is hijacked, because afterwards no status can be sent.
    pub fn check_attach(&self, id: &str) -> Result<bool> {
        let _ = id;
        todo!()
    }

    /// Hands the client's connection to the container, also before it starts.
    pub async fn attach(
        &self,
        engine: &Arc<Engine>,
        id: &str,
        options: AttachOptions,
        stream: ClientStream,
    ) -> Result<()> {
        let _ = (engine, id, options, stream);
        todo!()
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, engine: &Arc<Engine>, id: &str, rows: u16, cols: u16) -> Result<()> {
        let _ = (engine, id, rows, cols);
        todo!()
    }

    /// Its processes, as `ps ARGS` shows them; empty is `-ef`.
    pub async fn top(&self, id: &str, ps_args: &str) -> Result<TopResponse> {
        let _ = (id, ps_args);
        todo!()
    }

    /// Removes all that do not run and pass the filters.
    pub async fn prune(&self, engine: &Arc<Engine>, filters: &Filters) -> Result<ContainerPrune> {
        let _ = (engine, filters);
        todo!()
    }

    /// IDs of the containers, running or not, that use a volume.
    pub fn users_of_volume(&self, name: &str) -> Vec<String> {
        let _ = name;
        Vec::new()
    }

    /// IDs of the containers, and whether they run, that were made from an image.
    pub fn users_of_image(&self, image_id: &str) -> Vec<(String, bool)> {
        let _ = image_id;
        Vec::new()
    }

    /// How many run, are paused, and are stopped: for `info`.
    pub fn counts(&self) -> Counts {
        Counts::default()
    }
}

/// Containers by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub running: u64,
    pub paused: u64,
    pub stopped: u64,
}
