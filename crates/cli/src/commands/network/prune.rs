//! `network prune`.

use crate::cli::Cli;
use crate::commands::system::confirm;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::filter::FilterFlags;
use crate::flags::flags;
use crate::output;

/// Remove all unused networks.
pub(crate) struct Prune;

flags! {
    /// Flags of `network prune`.
    pub(crate) struct PruneFlags {
        filter: FilterFlags = "filter", "Provide filter values (e.g. \"until=<timestamp>\")";
        force: bool = "force" / 'f', "Do not prompt for confirmation";
    }
}

impl Verb for Prune {
    type Flags = PruneFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "Remove all unused networks";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: PruneFlags, _args: Vec<String>) -> Result<()> {
        let text = "This will remove all custom networks not used by at least one container.";
        confirm::unless(flags.force, text, "network prune")?;
        let report = cli.client().await?.networks().prune(&flags.filter.0).await?;
        if !report.networks_deleted.is_empty() {
            output::say(&format!("Deleted Networks:\n{}\n", report.networks_deleted.join("\n")));
        }
        Ok(())
    }
}
