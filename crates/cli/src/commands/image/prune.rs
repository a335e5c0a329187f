//! `image prune`.

use crate::cli::Cli;
use crate::commands::system::confirm;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::filter::FilterFlags;
use crate::flags::flags;
use crate::output::{self, units};

/// Remove unused images.
pub(crate) struct Prune;

flags! {
    /// Flags of `image prune`.
    pub(crate) struct PruneFlags {
        all: bool = "all" / 'a', "Remove all unused images, not just dangling ones";
        filter: FilterFlags = "filter", "Provide filter values (e.g. \"until=<timestamp>\")";
        force: bool = "force" / 'f', "Do not prompt for confirmation";
    }
}

impl Verb for Prune {
    type Flags = PruneFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "Remove unused images";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: PruneFlags, _args: Vec<String>) -> Result<()> {
        let what = if flags.all {
            "all images without at least one container associated to them"
        } else {
            "all dangling images"
        };
        confirm::unless(flags.force, &format!("This will remove {what}."), "image prune")?;
        let mut filters = flags.filter.0;
        filters.add("dangling", (!flags.all).to_string());
        let report = cli.client().await?.images().prune(&filters).await?;
        if !report.images_deleted.is_empty() {
            output::say("Deleted Images:");
            for item in &report.images_deleted {
                if item.untagged.is_empty() {
                    output::say(&format!("deleted: {}", item.deleted));
                } else {
                    output::say(&format!("untagged: {}", item.untagged));
                }
            }
            output::say("");
        }
        let reclaimed = i64::try_from(report.space_reclaimed).unwrap_or(i64::MAX);
        output::say(&format!("Total reclaimed space: {}", units::human_size(reclaimed)));
        Ok(())
    }
}
