//! `container run`: create, attach, wait, start, in as few round trips as there are; then copy until the end.

use barge_api::containers::WaitCondition;
use barge_client::{AttachOptions, Client};

use super::create::{self, Plan, with_help};
use super::ending::finish;
use super::flags::CreateFlags;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, REFUSED, Result};
use crate::flags::{Order, flags};
use crate::output;
use crate::stream::signals::{Caught, follow_size};
use crate::stream::{self, Wiring, terminal};

/// Create and run a new container from an image.
pub(crate) struct Run;

flags! {
    /// Flags of `run` beside those of `create`.
    pub(crate) struct RunFlags {
        detach: bool = "detach" / 'd', "Run container in background and print container ID";
        detach_keys: String = "detach-keys", "Override the key sequence for detaching a container";
        sig_proxy: bool = "sig-proxy" or "true", "Proxy received signals to the process";
        + create: CreateFlags;
    }
}

/// The program in the container could not be executed.
const CANNOT_EXECUTE: u8 = 126;

/// There is no such program.
const NOT_FOUND: u8 = 127;

impl Verb for Run {
    type Flags = RunFlags;
    const USAGE: &'static str = "[OPTIONS] IMAGE [COMMAND] [ARG...]";
    const ABOUT: &'static str = "Create and run a new container from an image";
    const ARITY: Arity = Arity::AtLeast(1);
    const ORDER: Order = Order::FlagsFirst;

    async fn run(cli: &Cli, flags: RunFlags, args: Vec<String>) -> Result<()> {
        if flags.detach && !flags.create.container.attach.is_empty() {
            return Err(Failure::new("conflicting options: cannot specify both --attach and --detach"));
        }
        let mut plan = Plan::new(cli, flags.create, args).map_err(|text| with_help(cli, "run", &text))?;
        let config = &mut plan.request.config;
        if flags.detach {
            config.attach_stdin = false;
            config.attach_stdout = false;
            config.attach_stderr = false;
            config.stdin_once = false;
        } else {
            check_terminal(config.attach_stdin, config.tty)?;
        }
        let attach = config.attach_stdin || config.attach_stdout || config.attach_stderr;
        let id = create::create(cli, &plan).await.map_err(|failure| refusal(cli, &failure))?;
        let client = cli.client().await?;
        if !attach {
            let started = client.containers().start(&id, "").await;
            output::say(&id);
            return started.map_err(|error| refusal(cli, &error.into()));
        }
        let detach_keys = cli.detach_keys(&flags.detach_keys);
        let session = Session::new(client, &id, &plan, detach_keys);
        if flags.sig_proxy {
            let mut caught = Caught::begin()?;
            let mut running = std::pin::pin!(session.run(cli));
            loop {
                tokio::select! {
                    ended = &mut running => return ended,
                    // A container that is not there yet, or no more, has no use for the signal.
                    signal = caught.next() => drop(client.containers().kill(&id, signal).await),
                }
            }
        }
        session.run(cli).await
    }
}

/// Without a terminal of our own there is none to give to the container's input.
pub(super) fn check_terminal(attach_stdin: bool, tty: bool) -> Result<()> {
    if attach_stdin && tty && !terminal::stdin_is_terminal() {
        return Err(Failure::new("the input device is not a TTY"));
    }
    Ok(())
}

/// One attached run of a created container.
#[derive(Debug)]
struct Session<'a> {
    client: &'a Client,
    id: &'a str,
    attach: AttachOptions,
    terminal: bool,
    auto_remove: bool,
}

impl<'a> Session<'a> {
    fn new(client: &'a Client, id: &'a str, plan: &Plan, detach_keys: String) -> Self {
        let config = &plan.request.config;
        let attach = AttachOptions {
            logs: false,
            stream: true,
            stdin: config.attach_stdin,
            stdout: config.attach_stdout,
            stderr: config.attach_stderr,
            detach_keys,
        };
        let auto_remove = plan.request.host_config.as_ref().is_some_and(|host| host.auto_remove);
        Self { client, id, attach, terminal: config.tty, auto_remove }
    }

    async fn run(self, cli: &Cli) -> Result<()> {
        let containers = self.client.containers();
        let condition = if self.auto_remove { WaitCondition::Removed } else { WaitCondition::NextExit };
        // Both must be settled before the start, so that neither output nor end is missed.
        let (attached, waiting) =
            tokio::join!(containers.attach(self.id, &self.attach), containers.wait(self.id, condition));
        let (attached, waiting) = (attached?, waiting?);
        if let Err(error) = containers.start(self.id, "").await {
            if self.auto_remove {
                let _ = waiting.ended().await;
            }
            return Err(refusal(cli, &error.into()));
        }
        let wiring = Wiring {
            stdin: self.attach.stdin,
            terminal: self.terminal,
            detach_keys: self.attach.detach_keys.clone(),
        };
        let copying = stream::copy(attached, wiring);
        if !self.terminal || !terminal::stdout_is_terminal() {
            return finish(self.client, self.id, condition, copying, waiting).await;
        }
        tokio::select! {
            ended = finish(self.client, self.id, condition, copying, waiting) => ended,
            () = follow_size(|rows, columns| async move { containers.resize(self.id, rows, columns).await.is_ok() }) => Ok(()),
        }
    }
}

/// What the engine refused, with the status shells use for programs that are missing or not executable.
fn refusal(cli: &Cli, failure: &Failure) -> Failure {
    let says = |part: &str| failure.text.contains(part);
    let code = if says("executable file not found") || says("no such file or directory") {
        NOT_FOUND
    } else if says("permission denied") || says("is a directory") {
        CANNOT_EXECUTE
    } else {
        REFUSED
    };
    with_help(cli, "run", &failure.text).with_code(code)
}
