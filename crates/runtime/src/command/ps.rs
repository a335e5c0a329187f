//! `ps`: the processes of a container, as the host's ps(1) shows them, or as a list of pids.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use clap::{Args, ValueEnum};

use super::print;
use super::state::Container;
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How to print
    #[arg(long, short, value_enum, default_value = "table")]
    format: Format,
    /// Container
    id: String,
    /// Options of ps, `-ef` without any
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

pub(super) fn ps(root: &Path, arguments: &Arguments) -> Result<u8> {
    let pids = Container::load(root, &arguments.id)?.cgroup()?.procs()?;
    if arguments.format == Format::Json {
        let numbers: Vec<String> = pids.iter().map(i32::to_string).collect();
        print(&format!("[{}]", numbers.join(",")))?;
        return Ok(0);
    }
    let mut command = Command::new("ps");
    if arguments.options.is_empty() {
        command.arg("-ef");
    }
    let output = command.args(&arguments.options).output().map_err(|error| Error::File {
        operation: "execute".into(),
        path: "ps".into(),
        source: error.into(),
    })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Error::Usage { reason: format!("ps ended with {}: {said}", output.status) });
    }
    let rows = rows(&String::from_utf8_lossy(&output.stdout), &pids.into_iter().collect())
        .ok_or_else(|| Error::Usage { reason: "couldn't find PID field in ps output".into() })?;
    print(&rows)?;
    Ok(0)
}

/// The title and the lines of these processes; `None` when no column is called PID.
fn rows(table: &str, pids: &HashSet<i32>) -> Option<String> {
    let mut lines = table.lines();
    let title = lines.next()?;
    let column = title.split_whitespace().position(|name| name == "PID")?;
    let of_container = |line: &&str| {
        let pid = line.split_whitespace().nth(column).and_then(|word| word.parse::<i32>().ok());
        pid.is_some_and(|pid| pids.contains(&pid))
    };
    Some(std::iter::once(title).chain(lines.filter(of_container)).collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_lines_stay() {
        let table = "UID   PID CMD\nroot   12 sh\nroot   13 12\n";
        assert_eq!(rows(table, &HashSet::from([12])).unwrap(), "UID   PID CMD\nroot   12 sh");
        assert_eq!(rows("UID CMD\nroot sh\n", &HashSet::from([12])), None);
    }
}
