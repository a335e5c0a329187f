//! `container exec`.

use barge_api::exec::{ExecConfig, ExecStartRequest};

use super::run::check_terminal;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::env_file::{self, BareName};
use crate::flags::value::Environment;
use crate::flags::{Order, flags};
use crate::stream::signals::follow_size;
use crate::stream::{self, Ended, Wiring, terminal};

/// Execute a command in a running container.
pub(crate) struct Exec;

flags! {
    /// Flags of `exec`.
    pub(crate) struct ExecFlags {
        detach: bool = "detach" / 'd', "Detached mode: run command in the background";
        detach_keys: String = "detach-keys", "Override the key sequence for detaching a container";
        env: Environment = "env" / 'e', "Set environment variables";
        env_file: Vec<String> = "env-file", "Read in a file of environment variables";
        interactive: bool = "interactive" / 'i', "Keep STDIN open even if not attached";
        privileged: bool = "privileged", "Give extended privileges to the command";
        tty: bool = "tty" / 't', "Allocate a pseudo-TTY";
        user: String = "user" / 'u', "Username or UID (format: \"<name|uid>[:<group|gid>]\")";
        workdir: String = "workdir" / 'w', "Working directory inside the container";
    }
}

impl Verb for Exec {
    type Flags = ExecFlags;
    const USAGE: &'static str = "[OPTIONS] CONTAINER COMMAND [ARG...]";
    const ABOUT: &'static str = "Execute a command in a running container";
    const ARITY: Arity = Arity::AtLeast(2);
    const ORDER: Order = Order::FlagsFirst;

    async fn run(cli: &Cli, flags: ExecFlags, mut args: Vec<String>) -> Result<()> {
        let container = args.remove(0);
        let console_size = if flags.tty {
            terminal::size(&std::io::stdout()).map(|size| [size.0.into(), size.1.into()])
        } else {
            None
        };
        let config = ExecConfig {
            user: flags.user,
            privileged: flags.privileged,
            tty: flags.tty,
            console_size,
            attach_stdin: !flags.detach && flags.interactive,
            attach_stdout: !flags.detach,
            attach_stderr: !flags.detach,
            detach: false,
            detach_keys: cli.detach_keys(&flags.detach_keys),
            env: env_file::read(&flags.env_file, flags.env.0, BareName::FromEnvironment)
                .map_err(Failure::new)?,
            working_dir: flags.workdir,
            cmd: Some(args),
        };
        let client = cli.client().await?;
        if config.attach_stdin && config.tty && !terminal::stdin_is_terminal() {
            // That there is no such container is the better thing to hear.
            client.containers().inspect(&container).await?;
        }
        check_terminal(config.attach_stdin, config.tty)?;
        let id = client.exec().create(&container, &config).await?;
        let start = ExecStartRequest { detach: flags.detach, tty: config.tty, console_size };
        if flags.detach {
            return Ok(client.exec().start(&id, &start).await?);
        }
        let hijacked = client.exec().attach(&id, &start).await?;
        let wiring =
            Wiring { stdin: config.attach_stdin, terminal: config.tty, detach_keys: config.detach_keys };
        let copying = stream::copy(hijacked, wiring);
        let ended = if config.tty && terminal::stdout_is_terminal() {
            let (exec, id) = (client.exec(), id.as_str());
            let resize = |rows, columns| async move { exec.resize(id, rows, columns).await.is_ok() };
            tokio::select! {
                ended = copying => ended?,
                () = follow_size(resize) => Ended::Detached,
            }
        } else {
            copying.await?
        };
        if ended == Ended::Detached {
            return Ok(());
        }
        match client.exec().inspect(&id).await?.exit_code.unwrap_or(0) {
            0 => Ok(()),
            code => Err(Failure::status(code)),
        }
    }
}
