//! `network ls`.

use barge_api::networks::Network;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::filter::FilterFlags;
use crate::flags::{LIST_FORMAT, flags};
use crate::output::short_id;
use crate::output::table::{self, Columns, Wanted};
use crate::output::template::Row;

/// List networks.
pub(crate) struct Ls;

flags! {
    /// Flags of `network ls`.
    pub(crate) struct LsFlags {
        filter: FilterFlags = "filter" / 'f', "Provide filter values (e.g. \"driver=bridge\")";
        format: String = "format", LIST_FORMAT;
        no_trunc: bool = "no-trunc", "Do not truncate the output";
        quiet: bool = "quiet" / 'q', "Only display network IDs";
    }
}

const COLUMNS: Columns = Columns {
    headings: &[
        ("ID", "NETWORK ID"),
        ("Name", "NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("IPv4", "IPV4"),
        ("IPv6", "IPV6"),
        ("Internal", "INTERNAL"),
        ("Labels", "LABELS"),
        ("CreatedAt", "CREATED AT"),
    ],
    table: "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}",
    quiet: "{{.ID}}",
};

impl Verb for Ls {
    type Flags = LsFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "List networks";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: LsFlags, _args: Vec<String>) -> Result<()> {
        let mut networks = cli.client().await?.networks().list(&flags.filter.0).await?;
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        let rows = networks.iter().map(|network| row(network, flags.no_trunc)).collect();
        table::print(&COLUMNS, Wanted { format: &flags.format, quiet: flags.quiet }, rows)
    }
}

fn row(network: &Network, whole: bool) -> Row {
    Row::default()
        .with("ID", if whole { network.id.clone() } else { short_id(&network.id) })
        .with("Name", network.name.clone())
        .with("Driver", network.driver.clone())
        .with("Scope", network.scope.clone())
        .with("IPv4", network.enable_ipv4.to_string())
        .with("IPv6", network.enable_ipv6.to_string())
        .with("Internal", network.internal.to_string())
        .with_labels(&network.labels)
        .with("CreatedAt", network.created.clone())
}
