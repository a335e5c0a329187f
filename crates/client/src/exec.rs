//! Further processes in running containers.

use barge_api::exec::{ExecConfig, ExecCreateResponse, ExecInspect, ExecStartRequest};

use crate::client::Client;
use crate::error::Result;
use crate::hijack::Hijacked;
use crate::path::segment;
use crate::request::Request;

/// The exec calls of a client. Each fails with [`crate::Error`].
#[derive(Clone, Copy, Debug)]
pub struct Exec<'a> {
    client: &'a Client,
}

impl<'a> Exec<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    fn start_call(self, id: &str, request: &ExecStartRequest) -> Result<Request<'a>> {
        self.client.post(format!("/exec/{}/start", segment(id))).json(request)
    }

    /// Prepares a process in `container`; returns the exec's ID.
    pub async fn create(self, container: &str, config: &ExecConfig) -> Result<String> {
        let call = self.client.post(format!("/containers/{}/exec", segment(container)));
        let made: ExecCreateResponse = call.json(config)?.send().await?.json().await?;
        Ok(made.id)
    }

    /// Starts it and connects to its streams.
    pub async fn attach(self, id: &str, request: &ExecStartRequest) -> Result<Hijacked> {
        self.start_call(id, request)?.hijack().await
    }

    /// Starts it and leaves it alone; `request.detach` must be set.
    pub async fn start(self, id: &str, request: &ExecStartRequest) -> Result<()> {
        self.start_call(id, request)?.send().await?.done().await
    }

    /// Sets the size of its terminal.
    pub async fn resize(self, id: &str, rows: u16, columns: u16) -> Result<()> {
        let call = self.client.post(format!("/exec/{}/resize", segment(id)));
        call.query("h", rows.to_string()).query("w", columns.to_string()).send().await?.done().await
    }

    /// All about it.
    pub async fn inspect(self, id: &str) -> Result<ExecInspect> {
        self.client.read(format!("/exec/{}/json", segment(id))).send().await?.json().await
    }
}
