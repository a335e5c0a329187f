//! Top: a container's processes, as the host's `ps` shows them.

use std::collections::BTreeSet;

use barge_api::containers::TopResponse;

use super::Containers;
use super::lifecycle::Status;
use crate::error::{Error, Result};

const DEFAULT_ARGS: &str = "-ef";

impl Containers {
    /// Its processes, as `ps ARGS` shows them; empty is `-ef`.
    pub async fn top(&self, id: &str, ps_args: &str) -> Result<TopResponse> {
        let args = if ps_args.is_empty() { DEFAULT_ARGS } else { ps_args };
        check_args(args)?;
        let container = self.index.find(id)?;
        match container.view().document.status {
            Status::Running(_) | Status::Paused(_) => {}
            Status::Restarting(_) => {
                return Err(Error::conflict(format!(
                    "container {} is restarting, wait until the container is running",
                    container.id
                )));
            }
            _ => return Err(Error::conflict(format!("container {} is not running", container.id))),
        }
        let shim = container.ask(|owner| Box::pin(std::future::ready(owner.shim()))).await?;
        let pids = shim.processes().await.map_err(|error| super::shim_error(&error))?;
        let output = run_ps(args).await?;
        select(&output, &pids.into_iter().collect())
    }
}

/// Without a PID column the container's processes could not be told from the others; a `o` list must say it first.
fn check_args(args: &str) -> Result<()> {
    let refuse = || Err(Error::invalid(format!("ps_args = {args:?} is not allowed: shell characters")));
    if args.contains(['\n', '\0']) {
        return refuse();
    }
    // `ps -o pid=PID` renames the column that is looked for.
    let renamed =
        args.split_whitespace().any(|word| word.split(',').any(|column| column.starts_with("pid=")));
    if renamed {
        return Err(Error::invalid(format!(
            "specifying \"{args}\" is not allowed: the PID column must keep its name"
        )));
    }
    Ok(())
}

async fn run_ps(args: &str) -> Result<String> {
    let output = tokio::process::Command::new("ps").args(args.split_whitespace()).output().await;
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stderr);
            Err(Error::system(format!("ps: {}", text.lines().next().unwrap_or("failed"))))
        }
        Err(error) => Err(Error::system(format!("ps: {error}"))),
    }
}

/// The rows of these processes; a row's last cell has the spaces of the command line.
fn select(output: &str, pids: &BTreeSet<i32>) -> Result<TopResponse> {
    let mut lines = output.lines();
    let titles: Vec<String> =
        lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    let column = titles
        .iter()
        .position(|title| title == "PID")
        .ok_or_else(|| Error::system("Couldn't find PID field in ps output"))?;
    let mut processes = Vec::new();
    for line in lines {
        let row = cells(line, titles.len());
        let pid = row.get(column).and_then(|cell| cell.parse().ok());
        if pid.is_some_and(|pid| pids.contains(&pid)) {
            processes.push(row);
        }
    }
    Ok(TopResponse { processes, titles })
}

fn cells(line: &str, count: usize) -> Vec<String> {
    let mut cells = Vec::with_capacity(count);
    let mut rest = line.trim_start();
    while cells.len() + 1 < count {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        cells.push(rest[..end].to_owned());
        rest = rest[end..].trim_start();
    }
    cells.push(rest.trim_end().to_owned());
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "UID          PID    PPID  C STIME TTY          TIME CMD\n\
                          root           1       0  0 10:00 ?        00:00:01 /sbin/init splash\n\
                          root          77       1  0 10:01 ?        00:00:00 sleep  10\n";

    #[test]
    fn only_the_containers_rows_with_whole_commands() {
        let found = select(OUTPUT, &BTreeSet::from([77, 99])).unwrap();
        assert_eq!(found.titles.len(), 8);
        assert_eq!(found.processes.len(), 1);
        assert_eq!((found.processes[0][1].as_str(), found.processes[0][7].as_str()), ("77", "sleep  10"));
    }

    #[test]
    fn without_a_pid_column_there_is_no_answer() {
        assert!(select("USER CMD\nroot x\n", &BTreeSet::new()).is_err());
        assert!(check_args("-o pid=PPID").is_err() && check_args("aux").is_ok());
    }
}
