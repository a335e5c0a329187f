//! `container start`.

use barge_api::containers::WaitCondition;
use barge_client::AttachOptions;

use super::ending::finish;
use super::run::check_terminal;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Failures, Result};
use crate::flags::flags;
use crate::output;
use crate::stream::signals::{self, Caught, follow_size};
use crate::stream::{self, Wiring, terminal};

/// Start one or more stopped containers.
pub(crate) struct Start;

flags! {
    /// Flags of `start`.
    pub(crate) struct StartFlags {
        attach: bool = "attach" / 'a', "Attach STDOUT/STDERR and forward signals";
        detach_keys: String = "detach-keys", "Override the key sequence for detaching a container";
        interactive: bool = "interactive" / 'i', "Attach container's STDIN";
    }
}

impl Verb for Start {
    type Flags = StartFlags;
    const USAGE: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const ABOUT: &'static str = "Start one or more stopped containers";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: StartFlags, args: Vec<String>) -> Result<()> {
        if flags.attach || flags.interactive {
            if args.len() > 1 {
                return Err(Failure::new("you cannot start and attach multiple containers at once"));
            }
            return attached(cli, &flags, &args[0]).await;
        }
        let containers = cli.client().await?.containers();
        let mut failures = Failures::default();
        let mut failed = Vec::new();
        for name in &args {
            match containers.start(name, "").await {
                Ok(()) => output::say(name),
                Err(error) => {
                    failures.note(Err::<(), _>(error));
                    failed.push(name.as_str());
                }
            }
        }
        failures.note(if failed.is_empty() {
            Ok(())
        } else {
            Err(format!("Error: failed to start containers: {}", failed.join(", ")))
        });
        failures.into_result()
    }
}

async fn attached(cli: &Cli, flags: &StartFlags, name: &str) -> Result<()> {
    let client = cli.client().await?;
    let containers = client.containers();
    let container = containers.inspect(name).await?;
    let (id, tty) = (container.id.as_str(), container.config.tty);
    let options = AttachOptions {
        stream: true,
        stdin: flags.interactive && container.config.open_stdin,
        stdout: true,
        stderr: true,
        detach_keys: cli.detach_keys(&flags.detach_keys),
        logs: false,
    };
    check_terminal(options.stdin, tty)?;
    let condition =
        if container.host_config.auto_remove { WaitCondition::Removed } else { WaitCondition::NextExit };
    let (hijacked, waiting) = tokio::join!(containers.attach(id, &options), containers.wait(id, condition));
    let (hijacked, waiting) = (hijacked?, waiting?);
    // With a terminal the keys come as bytes, not as signals.
    let mut caught = if tty { None } else { Some(Caught::begin()?) };
    containers.start(id, "").await?;
    let wiring = Wiring { stdin: options.stdin, terminal: tty, detach_keys: options.detach_keys.clone() };
    let mut running = std::pin::pin!(finish(client, id, condition, stream::copy(hijacked, wiring), waiting));
    let mut sizes = std::pin::pin!(follow_size(|rows, columns| async move {
        containers.resize(id, rows, columns).await.is_ok()
    }));
    let shows_size = tty && terminal::stdout_is_terminal();
    loop {
        tokio::select! {
            ended = &mut running => return ended,
            signal = signals::next(&mut caught) => drop(containers.kill(id, signal).await),
            () = &mut sizes, if shows_size => {}
        }
    }
}
