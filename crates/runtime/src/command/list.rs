//! `list`: the containers below `--root`.

use std::fs;
use std::path::Path;

use clap::{Args, ValueEnum};

use super::state::{Container, Report};
use super::{json, print};
use crate::error::Result;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print only the ids
    #[arg(long, short)]
    quiet: bool,
    /// How to print
    #[arg(long, short, value_enum, default_value = "table")]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) fn list(root: &Path, arguments: &Arguments) -> Result<u8> {
    let names = fs::read_dir(root).into_iter().flatten().flatten();
    // A container that is being made or removed just now is not on the list.
    let mut reports: Vec<Report> = names
        .filter_map(|entry| Container::load(root, entry.file_name().to_str()?).ok())
        .map(|container| container.report())
        .collect();
    reports.sort_by(|one, other| one.id.cmp(&other.id));
    match (arguments.quiet, arguments.format) {
        (true, _) => reports.iter().try_for_each(|report| print(&report.id))?,
        (false, Format::Json) => print(&json(&reports)?)?,
        (false, Format::Table) => print(&table(&reports))?,
    }
    Ok(0)
}

fn table(reports: &[Report]) -> String {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED"].map(str::to_owned)];
    rows.extend(reports.iter().map(|report| {
        [
            report.id.clone(),
            report.pid.to_string(),
            report.status.word().to_owned(),
            report.bundle.display().to_string(),
            report.created.clone(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0).max(8) + 3;
    let widths = [0, 1, 2, 3].map(width);
    let line = |row: &[String; 5]| {
        let padded = widths.iter().zip(row).map(|(width, cell)| format!("{cell:width$}"));
        format!("{}{}", padded.collect::<String>(), row[4])
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
