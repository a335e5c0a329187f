//! `container top`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::{NoFlags, Order};
use crate::output::{self, table};

/// Display the running processes of a container.
pub(crate) struct Top;

impl Verb for Top {
    type Flags = NoFlags;
    const USAGE: &'static str = "CONTAINER [ps OPTIONS]";
    const ABOUT: &'static str = "Display the running processes of a container";
    const ARITY: Arity = Arity::AtLeast(1);
    const ORDER: Order = Order::FlagsFirst;

    async fn run(cli: &Cli, _flags: NoFlags, args: Vec<String>) -> Result<()> {
        let found = cli.client().await?.containers().top(&args[0], &args[1..].join(" ")).await?;
        let mut lines = vec![found.titles.join("\t")];
        lines.extend(found.processes.iter().map(|cells| cells.join("\t")));
        output::write(&table::align_to(&lines, 20));
        Ok(())
    }
}
