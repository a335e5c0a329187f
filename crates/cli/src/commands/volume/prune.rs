//! `volume prune`.

use crate::cli::Cli;
use crate::commands::system::confirm;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::filter::FilterFlags;
use crate::flags::flags;
use crate::output::{self, units};

/// Remove unused local volumes.
pub(crate) struct Prune;

flags! {
    /// Flags of `volume prune`.
    pub(crate) struct PruneFlags {
        all: bool = "all" / 'a', "Remove all unused volumes, not just anonymous ones";
        filter: FilterFlags = "filter", "Provide filter values (e.g. \"label=<label>\")";
        force: bool = "force" / 'f', "Do not prompt for confirmation";
    }
}

impl Verb for Prune {
    type Flags = PruneFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "Remove unused local volumes";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: PruneFlags, _args: Vec<String>) -> Result<()> {
        let kind = if flags.all { "all" } else { "anonymous" };
        let text = format!("This will remove {kind} local volumes not used by at least one container.");
        confirm::unless(flags.force, &text, "volume prune")?;
        let mut filters = flags.filter.0;
        if flags.all {
            filters.add("all", "true");
        }
        let report = cli.client().await?.volumes().prune(&filters).await?;
        if !report.volumes_deleted.is_empty() {
            output::say(&format!("Deleted Volumes:\n{}\n", report.volumes_deleted.join("\n")));
        }
        let reclaimed = i64::try_from(report.space_reclaimed).unwrap_or(i64::MAX);
        output::say(&format!("Total reclaimed space: {}", units::human_size(reclaimed)));
        Ok(())
    }
}
