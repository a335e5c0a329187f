//! `list`: the containers below `--root`.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;

use super::flags::{Flag, Given, Syntax};
use super::state::{Container, Report};
use super::{Globals, Verb, print, warn};
use crate::error::{Error, Result};

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "list",
        about: "List containers",
        words: "",
        count: (0, 0),
        open: false,
        flags: &[
            Flag::with("format", "table|json", "How to print (default: table)").or('f'),
            Flag::switch("quiet", "Print only the ids").or('q'),
        ],
    },
    list,
);

/// How a list is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Table,
    Json,
}

/// The format that `--format` names.
pub(super) fn format(given: &Given) -> Result<Format> {
    match given.text("format")?.as_deref() {
        None | Some("table") => Ok(Format::Table),
        Some("json") => Ok(Format::Json),
        Some(_) => Err(Error::Usage { reason: "invalid format option".into() }),
    }
}

fn list(globals: &Globals, given: &Given) -> Result<u8> {
    let format = format(given)?;
    let reports = reports(globals)?;
    match (given.on("quiet")?, format) {
        (true, _) => reports.iter().try_for_each(|report| print(&report.id).map(drop)).map(|()| 0),
        // As Go has it for a list that was never made.
        (false, Format::Json) if reports.is_empty() => print("null"),
        (false, Format::Json) => print(&serde_json::json!(reports).to_string()),
        (false, Format::Table) => print(&table(&reports)),
    }
}

fn reports(globals: &Globals) -> Result<Vec<Report>> {
    let failed = |error: std::io::Error| Error::File {
        operation: "open".into(),
        path: globals.root.clone(),
        source: error.into(),
    };
    let entries = match fs::read_dir(&globals.root) {
        // Nothing has been created yet.
        Err(error) if error.kind() == ErrorKind::NotFound && globals.root_is_default => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut reports = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Some(report) = entry.file_name().to_str().and_then(|name| listed(globals, name)) else {
            continue;
        };
        match entry.metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            metadata => reports.push(report.owned_by(owner(metadata.map_err(failed)?.uid()))),
        }
    }
    reports.sort_by(|one, other| one.id.cmp(&other.id));
    Ok(reports)
}

/// A user's name on this host, or its number.
fn owner(uid: u32) -> String {
    // One name or comment in another encoding must not cost all others.
    let users = fs::read("/etc/passwd").unwrap_or_default();
    let users = String::from_utf8_lossy(&users);
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("#{uid}"))
}

/// A container that is being made or removed just now is not on the list. One that is damaged can't be, but should be
/// known.
fn listed(globals: &Globals, name: &str) -> Option<Report> {
    match Container::load(&globals.root, name).and_then(|container| container.report()) {
        Ok(report) => Some(report),
        Err(Error::NoSuchContainer { .. } | Error::Usage { .. }) => None,
        Err(error) => {
            warn(&format!("container {name:?} is left out: {error}"));
            None
        }
    }
}

fn table(reports: &[Report]) -> String {
    let mut rows = vec![["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].map(str::to_owned)];
    rows.extend(reports.iter().map(|report| {
        [
            report.id.clone(),
            report.pid.to_string(),
            report.status.word().to_owned(),
            report.bundle.display().to_string(),
            report.created.clone(),
            report.owner.clone(),
        ]
    }));
    let width = |column: usize| rows.iter().map(|row| row[column].len() + 3).max().unwrap_or(0).max(12);
    let widths = [0, 1, 2, 3, 4].map(width);
    let line = |row: &[String; 6]| {
        let padded = widths.iter().zip(row).map(|(width, cell)| format!("{cell:width$}"));
        format!("{}{}", padded.collect::<String>(), row[5])
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
