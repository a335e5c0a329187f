//! `system prune`: containers, networks and images without use, volumes if asked for.

use barge_api::Filters;

use super::confirm;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::filter::FilterFlags;
use crate::flags::flags;
use crate::output::{self, units};

/// Remove unused data.
pub(crate) struct Prune;

flags! {
    /// Flags of `system prune`.
    pub(crate) struct PruneFlags {
        all: bool = "all" / 'a', "Remove all unused images not just dangling ones";
        filter: FilterFlags = "filter", "Provide filter values (e.g. \"label=<key>=<value>\")";
        force: bool = "force" / 'f', "Do not prompt for confirmation";
        volumes: bool = "volumes", "Prune anonymous volumes";
    }
}

impl Verb for Prune {
    type Flags = PruneFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "Remove unused data";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: PruneFlags, _args: Vec<String>) -> Result<()> {
        let images = if flags.all {
            "all images without at least one container associated to them"
        } else {
            "all dangling images"
        };
        let volumes =
            if flags.volumes { "\n  - all anonymous volumes not used by at least one container" } else { "" };
        let warning = format!(
            "This will remove:\n  - all stopped containers\n  - all networks not used by at least one container{volumes}\n  - {images}\n"
        );
        confirm::unless(flags.force, &warning, "system prune")?;
        let filters = flags.filter.0;
        let client = cli.client().await?;
        let mut reclaimed = 0;
        let containers = client.containers().prune(&filters).await?;
        reclaimed += containers.space_reclaimed;
        tell("Deleted Containers:", containers.containers_deleted);
        tell("Deleted Networks:", client.networks().prune(&filters).await?.networks_deleted);
        if flags.volumes {
            let volumes = client.volumes().prune(&filters).await?;
            reclaimed += volumes.space_reclaimed;
            tell("Deleted Volumes:", volumes.volumes_deleted);
        }
        let images = client.images().prune(&with_dangling(filters, !flags.all)).await?;
        reclaimed += images.space_reclaimed;
        let lines = images.images_deleted.into_iter().map(|item| {
            if item.untagged.is_empty() {
                format!("deleted: {}", item.deleted)
            } else {
                format!("untagged: {}", item.untagged)
            }
        });
        tell("Deleted Images:", lines.collect());
        output::say(&format!(
            "Total reclaimed space: {}",
            units::human_size(i64::try_from(reclaimed).unwrap_or(i64::MAX))
        ));
        Ok(())
    }
}

fn with_dangling(mut filters: Filters, dangling: bool) -> Filters {
    filters.add("dangling", dangling.to_string());
    filters
}

fn tell(heading: &str, lines: Vec<String>) {
    if !lines.is_empty() {
        output::say(&format!("{heading}\n{}\n", lines.join("\n")));
    }
}
