//! `container logs`.

use barge_client::LogsOptions;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::flags;
use crate::stream;

/// Fetch the logs of a container.
pub(crate) struct Logs;

flags! {
    /// Flags of `logs`.
    pub(crate) struct LogsFlags {
        details: bool = "details", "Show extra details provided to logs";
        follow: bool = "follow" / 'f', "Follow log output";
        since: String = "since", "Show logs since timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)";
        tail: String = "tail" / 'n' or "all", "Number of lines to show from the end of the logs";
        timestamps: bool = "timestamps" / 't', "Show timestamps";
        until: String = "until", "Show logs before a timestamp (e.g. \"2013-01-02T13:23:37Z\") or relative (e.g. \"42m\" for 42 minutes)";
    }
}

impl Verb for Logs {
    type Flags = LogsFlags;
    const USAGE: &'static str = "[OPTIONS] CONTAINER";
    const ABOUT: &'static str = "Fetch the logs of a container";
    const ARITY: Arity = Arity::Exactly(1);

    async fn run(cli: &Cli, flags: LogsFlags, args: Vec<String>) -> Result<()> {
        let containers = cli.client().await?.containers();
        // Only the container knows whether its output is framed.
        let container = containers.inspect(&args[0]).await?;
        let options = LogsOptions {
            stdout: true,
            stderr: true,
            since: crate::output::units::moment(&flags.since)?,
            until: crate::output::units::moment(&flags.until)?,
            timestamps: flags.timestamps,
            follow: flags.follow,
            tail: flags.tail,
            details: flags.details,
        };
        let output = containers.logs(&container.id, &options, container.config.tty).await?;
        stream::copy_output(output).await
    }
}
