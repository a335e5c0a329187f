//! Containers: life, streams, files.

mod files;
mod streams;

pub use files::CommitOptions;
pub use streams::{AttachOptions, LogsOptions, Waiting};

use barge_api::Filters;
use barge_api::containers::{
    ContainerInspect, ContainerPrune, ContainerSummary, CreateRequest, CreateResponse, TopResponse,
    UpdateRequest, UpdateResponse,
};
use bytes::Bytes;

use crate::client::Client;
use crate::error::Result;
use crate::path::segment;
use crate::request::Request;

/// The container calls of a client. Each fails with [`crate::Error`]; a name or any unique start of an ID will do.
#[derive(Clone, Copy, Debug)]
pub struct Containers<'a> {
    client: &'a Client,
}

/// Which containers to list.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Those that do not run, too.
    pub all: bool,
    /// At most so many, the newest; 0 is all.
    pub limit: i64,
    /// With sizes, which costs time.
    pub size: bool,
    /// What must match.
    pub filters: Filters,
}

/// How to stop.
#[derive(Clone, Debug, Default)]
pub struct StopOptions {
    /// Instead of the container's stop signal, if it is not empty.
    pub signal: String,
    /// Seconds before the kill, -1 for none; `None` takes the container's.
    pub timeout: Option<i64>,
}

/// What goes with a removed container.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    /// Kill it if it runs.
    pub force: bool,
    /// Its anonymous volumes.
    pub volumes: bool,
    /// Only the link of that name.
    pub link: bool,
}

impl<'a> Containers<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    fn get(self, id: &str, verb: &str) -> Request<'a> {
        self.client.read(format!("/containers/{}/{verb}", segment(id)))
    }

    fn post(self, id: &str, verb: &str) -> Request<'a> {
        self.client.post(format!("/containers/{}/{verb}", segment(id)))
    }

    /// Creates a container; an empty name lets the engine choose, an empty platform takes the host's.
    pub async fn create(self, name: &str, platform: &str, request: &CreateRequest) -> Result<CreateResponse> {
        let call =
            self.client.post("/containers/create").query_some("name", name).query_some("platform", platform);
        call.json(request)?.send().await?.json().await
    }

    /// Lists containers, newest first.
    pub async fn list(self, options: &ListOptions) -> Result<Vec<ContainerSummary>> {
        let limit = if options.limit > 0 { options.limit.to_string() } else { String::new() };
        let call =
            self.client.read("/containers/json").query_if("all", options.all).query_some("limit", limit);
        let call = call.query_if("size", options.size).query_some("filters", options.filters.to_json());
        call.send().await?.json().await
    }

    /// All about one container.
    pub async fn inspect(self, id: &str) -> Result<ContainerInspect> {
        self.get(id, "json").send().await?.json().await
    }

    /// All about one container, as the engine wrote it.
    pub async fn inspect_raw(self, id: &str, size: bool) -> Result<Bytes> {
        self.get(id, "json").query_if("size", size).send().await?.bytes().await
    }

    /// Starts it; empty detach keys take the default.
    pub async fn start(self, id: &str, detach_keys: &str) -> Result<()> {
        self.post(id, "start").query_some("detachKeys", detach_keys).send().await?.done().await
    }

    /// Stops it.
    pub async fn stop(self, id: &str, options: &StopOptions) -> Result<()> {
        self.halt(id, "stop", options).await
    }

    /// Stops and starts it.
    pub async fn restart(self, id: &str, options: &StopOptions) -> Result<()> {
        self.halt(id, "restart", options).await
    }

    async fn halt(self, id: &str, verb: &str, options: &StopOptions) -> Result<()> {
        let timeout = options.timeout.map(|seconds| seconds.to_string()).unwrap_or_default();
        let call = self.post(id, verb).query_some("signal", &*options.signal).query_some("t", timeout);
        call.send().await?.done().await
    }

    /// Sends a signal, by name or number; empty is `KILL`.
    pub async fn kill(self, id: &str, signal: &str) -> Result<()> {
        self.post(id, "kill").query_some("signal", signal).send().await?.done().await
    }

    /// Freezes all its processes.
    pub async fn pause(self, id: &str) -> Result<()> {
        self.post(id, "pause").send().await?.done().await
    }

    /// Thaws them.
    pub async fn unpause(self, id: &str) -> Result<()> {
        self.post(id, "unpause").send().await?.done().await
    }

    /// Gives it another name.
    pub async fn rename(self, id: &str, name: &str) -> Result<()> {
        self.post(id, "rename").query("name", name).send().await?.done().await
    }

    /// Removes it.
    pub async fn remove(self, id: &str, options: RemoveOptions) -> Result<()> {
        let call = self.client.delete(format!("/containers/{}", segment(id)));
        let call = call
            .query_if("force", options.force)
            .query_if("v", options.volumes)
            .query_if("link", options.link);
        call.send().await?.done().await
    }

    /// Removes those that do not run.
    pub async fn prune(self, filters: &Filters) -> Result<ContainerPrune> {
        let call = self.client.post("/containers/prune").query_some("filters", filters.to_json());
        call.send().await?.json().await
    }

    /// Sets the size of its terminal.
    pub async fn resize(self, id: &str, rows: u16, columns: u16) -> Result<()> {
        let call = self.post(id, "resize").query("h", rows.to_string()).query("w", columns.to_string());
        call.send().await?.done().await
    }

    /// Its processes; the arguments are those of `ps`.
    pub async fn top(self, id: &str, ps_args: &str) -> Result<TopResponse> {
        self.get(id, "top").query_some("ps_args", ps_args).send().await?.json().await
    }

    /// Changes its limits.
    pub async fn update(self, id: &str, request: &UpdateRequest) -> Result<UpdateResponse> {
        self.post(id, "update").json(request)?.send().await?.json().await
    }
}
