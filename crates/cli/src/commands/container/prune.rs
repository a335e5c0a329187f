//! `container prune`.

use crate::cli::Cli;
use crate::commands::system::confirm;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::filter::FilterFlags;
use crate::flags::flags;
use crate::output::{self, units};

/// Remove all stopped containers.
pub(crate) struct Prune;

flags! {
    /// Flags of `container prune`.
    pub(crate) struct PruneFlags {
        filter: FilterFlags = "filter", "Provide filter values (e.g. \"until=<timestamp>\")";
        force: bool = "force" / 'f', "Do not prompt for confirmation";
    }
}

impl Verb for Prune {
    type Flags = PruneFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "Remove all stopped containers";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: PruneFlags, _args: Vec<String>) -> Result<()> {
        confirm::unless(flags.force, "This will remove all stopped containers.", "container prune")?;
        let report = cli.client().await?.containers().prune(&flags.filter.0).await?;
        if !report.containers_deleted.is_empty() {
            output::say(&format!("Deleted Containers:\n{}\n", report.containers_deleted.join("\n")));
        }
        let reclaimed = i64::try_from(report.space_reclaimed).unwrap_or(i64::MAX);
        output::say(&format!("Total reclaimed space: {}", units::human_size(reclaimed)));
        Ok(())
    }
}
