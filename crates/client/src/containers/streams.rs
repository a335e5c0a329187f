//! Streams of a container: attach, logs, stats and the wait for its end.

use barge_api::containers::{ContainerStats, WaitCondition, WaitResponse};

use super::Containers;
use crate::error::Result;
use crate::hijack::Hijacked;
use crate::lines::Lines;
use crate::output::Output;
use crate::response::Response;

/// Which streams to attach to.
#[derive(Clone, Debug, Default)]
pub struct AttachOptions {
    /// What was written before, first.
    pub logs: bool,
    /// What is written from now on.
    pub stream: bool,
    /// Standard input.
    pub stdin: bool,
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Keys that detach, for example `ctrl-p,ctrl-q`; empty takes the engine's.
    pub detach_keys: String,
}

/// Which lines of the log to read.
#[derive(Clone, Debug, Default)]
pub struct LogsOptions {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
    /// Not before; empty is from the start.
    pub since: String,
    /// Not after; empty is to the end.
    pub until: String,
    /// A time before each line.
    pub timestamps: bool,
    /// Go on with what comes.
    pub follow: bool,
    /// The last so many lines; empty or `all` is all.
    pub tail: String,
    /// The log driver's attributes before each line.
    pub details: bool,
}

/// A wait that the engine has begun: what happens from here on is not missed.
#[derive(Debug)]
pub struct Waiting<'a> {
    response: Response<'a>,
}

impl Waiting<'_> {
    /// How it ended.
    ///
    /// # Errors
    /// [`crate::Error::Body`] if the engine leaves before.
    pub async fn ended(self) -> Result<WaitResponse> {
        self.response.json().await
    }
}

impl<'a> Containers<'a> {
    /// Connects to its streams.
    pub async fn attach(self, id: &str, options: &AttachOptions) -> Result<Hijacked> {
        let call = self.post(id, "attach").query_some("detachKeys", &*options.detach_keys);
        let call = call.query_if("logs", options.logs).query_if("stream", options.stream);
        let call = call.query_if("stdin", options.stdin).query_if("stdout", options.stdout);
        call.query_if("stderr", options.stderr).hijack().await
    }

    /// Reads its log; `terminal` says whether it has a terminal.
    pub async fn logs(self, id: &str, options: &LogsOptions, terminal: bool) -> Result<Output> {
        let call = self.get(id, "logs").query_if("stdout", options.stdout).query_if("stderr", options.stderr);
        let call = call.query_some("since", &*options.since).query_some("until", &*options.until);
        let call = call.query_if("timestamps", options.timestamps).query_if("follow", options.follow);
        let call = call.query_some("tail", &*options.tail).query_if("details", options.details);
        Ok(Output::new(call.send().await?.into_reader(), terminal))
    }

    /// Begins to wait for it; returns once the engine has noted the wait.
    pub async fn wait(self, id: &str, condition: WaitCondition) -> Result<Waiting<'a>> {
        let call = self.post(id, "wait").query("condition", condition.as_str());
        Ok(Waiting { response: call.send().await? })
    }

    /// What it uses, once or again and again.
    pub async fn stats(self, id: &str, stream: bool) -> Result<Lines<ContainerStats>> {
        let flag = if stream { "1" } else { "0" };
        Ok(self.get(id, "stats").query("stream", flag).send().await?.into_lines())
    }
}
