//! `image history`.

use barge_api::images::HistoryItem;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::{LIST_FORMAT, flags};
use crate::output::table::{self, Columns, Wanted};
use crate::output::template::Row;
use crate::output::{ellipsis, short_id, units};

/// Show the history of an image.
pub(crate) struct History;

flags! {
    /// Flags of `history`.
    pub(crate) struct HistoryFlags {
        format: String = "format", LIST_FORMAT;
        human: bool = "human" / 'H' or "true", "Print sizes and dates in human readable format";
        no_trunc: bool = "no-trunc", "Don't truncate output";
        quiet: bool = "quiet" / 'q', "Only show image IDs";
    }
}

const HEADINGS: &[(&str, &str)] = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

impl Verb for History {
    type Flags = HistoryFlags;
    const USAGE: &'static str = "[OPTIONS] IMAGE";
    const ABOUT: &'static str = "Show the history of an image";
    const ARITY: Arity = Arity::Exactly(1);

    async fn run(cli: &Cli, flags: HistoryFlags, args: Vec<String>) -> Result<()> {
        let items = cli.client().await?.images().history(&args[0], "").await?;
        let columns = Columns {
            headings: HEADINGS,
            table: if flags.human {
                "{{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
            } else {
                "{{.ID}}\t{{.CreatedAt}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}"
            },
            quiet: "{{.ID}}",
        };
        let rows = items.into_iter().map(|item| row(item, &flags)).collect();
        table::print(&columns, Wanted { format: &flags.format, quiet: flags.quiet }, rows)
    }
}

fn row(item: HistoryItem, flags: &HistoryFlags) -> Row {
    let created =
        jiff::Timestamp::from_second(item.created).map(|moment| moment.to_string()).unwrap_or_default();
    let by = item.created_by.replace('\t', " ");
    Row::default()
        .with("ID", if flags.no_trunc { item.id } else { short_id(&item.id) })
        .with("CreatedAt", created.clone())
        .with(
            "CreatedSince",
            if !flags.human {
                created
            } else if item.created > 0 {
                units::ago(item.created)
            } else {
                "N/A".to_owned()
            },
        )
        .with("CreatedBy", if flags.no_trunc { by } else { ellipsis(&by, 45) })
        .with("Size", if flags.human { units::human_size_with(item.size, 3) } else { item.size.to_string() })
        .with("Comment", item.comment)
}
