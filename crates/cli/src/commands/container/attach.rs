//! `container attach`.

use barge_api::containers::{ContainerState, WaitCondition};
use barge_client::AttachOptions;

use super::ending::finish;
use super::run::check_terminal;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::flags;
use crate::stream::signals::{self, Caught, follow_size};
use crate::stream::{self, Wiring, terminal};

/// Attach local standard input, output, and error streams to a running container.
pub(crate) struct Attach;

flags! {
    /// Flags of `attach`.
    pub(crate) struct AttachFlags {
        detach_keys: String = "detach-keys", "Override the key sequence for detaching a container";
        no_stdin: bool = "no-stdin", "Do not attach STDIN";
        sig_proxy: bool = "sig-proxy" or "true", "Proxy all received signals to the process";
    }
}

impl Verb for Attach {
    type Flags = AttachFlags;
    const USAGE: &'static str = "[OPTIONS] CONTAINER";
    const ABOUT: &'static str =
        "Attach local standard input, output, and error streams to a running container";
    const ARITY: Arity = Arity::Exactly(1);

    async fn run(cli: &Cli, flags: AttachFlags, args: Vec<String>) -> Result<()> {
        let client = cli.client().await?;
        let containers = client.containers();
        let container = containers.inspect(&args[0]).await?;
        check_state(&container.state)?;
        let (id, tty) = (container.id.as_str(), container.config.tty);
        check_terminal(!flags.no_stdin, tty)?;
        let options = AttachOptions {
            stream: true,
            stdin: !flags.no_stdin && container.config.open_stdin,
            stdout: true,
            stderr: true,
            detach_keys: cli.detach_keys(&flags.detach_keys),
            logs: false,
        };
        let mut caught = if flags.sig_proxy && !tty { Some(Caught::begin()?) } else { None };
        let waiting = containers.wait(id, WaitCondition::NotRunning).await?;
        let hijacked = containers.attach(id, &options).await?;
        let shows_size = tty && terminal::stdout_is_terminal();
        if let (true, Some((rows, columns))) = (shows_size, terminal::size(&std::io::stdout())) {
            // A change of size makes the shell draw its prompt again.
            let _ = containers.resize(id, rows.saturating_add(1), columns.saturating_add(1)).await;
        }
        let wiring = Wiring { stdin: options.stdin, terminal: tty, detach_keys: options.detach_keys.clone() };
        let copying = stream::copy(hijacked, wiring);
        let mut running = std::pin::pin!(finish(client, id, WaitCondition::NotRunning, copying, waiting));
        let resize = |rows, columns| async move { containers.resize(id, rows, columns).await.is_ok() };
        let mut sizes = std::pin::pin!(follow_size(resize));
        loop {
            tokio::select! {
                ended = &mut running => return ended,
                signal = signals::next(&mut caught) => drop(containers.kill(id, signal).await),
                () = &mut sizes, if shows_size => {}
            }
        }
    }
}

fn check_state(state: &ContainerState) -> Result<()> {
    let refuse = |text: &str| Err(Failure::new(text));
    match state {
        ContainerState { running: false, .. } => {
            refuse("You cannot attach to a stopped container, start it first")
        }
        ContainerState { paused: true, .. } => {
            refuse("You cannot attach to a paused container, unpause it first")
        }
        ContainerState { restarting: true, .. } => {
            refuse("You cannot attach to a restarting container, wait until it is running")
        }
        _ => Ok(()),
    }
}
