//! `ps`: the processes of a container, as the host's ps(1) shows them, or as a list of pids.

use std::collections::HashSet;
use std::process::Command;

use super::flags::{Flag, Given, Syntax};
use super::list::{Format, format};
use super::state::Container;
use super::{Globals, Verb, print};
use crate::error::{Error, Result};

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "ps",
        about: "Show the processes of a container",
        words: "<container-id> [ps options]",
        count: (1, usize::MAX),
        open: true,
        flags: &[Flag::with("format", "table|json", "How to print (default: table)").or('f')],
    },
    ps,
);

fn ps(globals: &Globals, given: &Given) -> Result<u8> {
    let format = format(given)?;
    let pids = Container::load(&globals.root, &given.container()?)?.processes()?;
    if format == Format::Json {
        let numbers: Vec<String> = pids.iter().map(i32::to_string).collect();
        return print(&format!("[{}]", numbers.join(",")));
    }
    let mut command = Command::new("ps");
    let options = given.rest()?;
    if options.is_empty() {
        command.arg("-ef");
    }
    let output = command.args(&options).output().map_err(|error| Error::File {
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
    print(&rows)
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
