//! `volume ls`.

use barge_api::volumes::Volume;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::filter::FilterFlags;
use crate::flags::{LIST_FORMAT, flags};
use crate::output::table::{self, Columns, Wanted};
use crate::output::template::Row;
use crate::output::units;

/// List volumes.
pub(crate) struct Ls;

flags! {
    /// Flags of `volume ls`.
    pub(crate) struct LsFlags {
        filter: FilterFlags = "filter" / 'f', "Provide filter values (e.g. \"dangling=true\")";
        format: String = "format", LIST_FORMAT;
        quiet: bool = "quiet" / 'q', "Only display volume names";
    }
}

const COLUMNS: Columns = Columns {
    headings: &[
        ("Name", "VOLUME NAME"),
        ("Driver", "DRIVER"),
        ("Scope", "SCOPE"),
        ("Mountpoint", "MOUNTPOINT"),
        ("Labels", "LABELS"),
        ("Links", "LINKS"),
        ("Size", "SIZE"),
        ("Group", "GROUP"),
        ("Availability", "AVAILABILITY"),
        ("Status", "STATUS"),
    ],
    table: "{{.Driver}}\t{{.Name}}",
    quiet: "{{.Name}}",
};

impl Verb for Ls {
    type Flags = LsFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "List volumes";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: LsFlags, _args: Vec<String>) -> Result<()> {
        let mut volumes = cli.client().await?.volumes().list(&flags.filter.0).await?.volumes;
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        let rows = volumes.iter().map(row).collect();
        table::print(&COLUMNS, Wanted { format: &flags.format, quiet: flags.quiet }, rows)
    }
}

fn row(volume: &Volume) -> Row {
    let usage = volume.usage_data.as_ref();
    let none = || "N/A".to_owned();
    Row::default()
        .with("Name", volume.name.clone())
        .with("Driver", volume.driver.clone())
        .with("Scope", volume.scope.clone())
        .with("Mountpoint", volume.mountpoint.clone())
        .with_labels(&volume.labels)
        .with("Links", usage.map_or_else(none, |usage| usage.ref_count.to_string()))
        .with("Size", usage.map_or_else(none, |usage| units::human_size(usage.size)))
        .with("Group", none())
        .with("Availability", none())
        .with("Status", none())
}
