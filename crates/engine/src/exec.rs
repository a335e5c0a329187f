//! Further processes in running containers: create, start, inspect, resize.

use std::sync::Arc;

use barge_api::exec::{ExecConfig, ExecCreateResponse, ExecInspect, ExecStartRequest};

use crate::containers::ClientStream;
use crate::engine::Engine;
use crate::error::Result;

/// All execs of one engine. They live in memory only, as in Docker: a new daemon forgets them.
pub struct Execs {}

impl Execs {
    /// No exec yet.
    pub fn new() -> Self {
        Self {}
    }

    /// Registers a process to be started in a running container.
    pub async fn create(&self, engine: &Arc<Engine>, container: &str, config: ExecConfig) -> Result<ExecCreateResponse> {
        let _ = (engine, container, config);
        todo!()
    }

    /// Whether the exec's stream is a terminal's (raw) or multiplexed; an error if it cannot be started. Called
    /// before the connection is hijacked, because afterwards no status can be sent.
    pub fn check_start(&self, engine: &Arc<Engine>, id: &str, request: &ExecStartRequest) -> Result<bool> {
        let _ = (engine, id, request);
        todo!()
    }

    /// Starts it; `stream` is the hijacked connection, `None` for a detached exec.
    pub async fn start(
        &self,
        engine: &Arc<Engine>,
        id: &str,
        request: ExecStartRequest,
        stream: Option<ClientStream>,
    ) -> Result<()> {
        let _ = (engine, id, request, stream);
        todo!()
    }

    /// What became of it.
    pub fn inspect(&self, engine: &Arc<Engine>, id: &str) -> Result<ExecInspect> {
        let _ = (engine, id);
        todo!()
    }

    /// Sets the size of its terminal.
    pub async fn resize(&self, engine: &Arc<Engine>, id: &str, rows: u16, cols: u16) -> Result<()> {
        let _ = (engine, id, rows, cols);
        todo!()
    }
}
