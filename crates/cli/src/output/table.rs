//! Lists: as a table with a heading, or each row through a template.

use crate::failure::Result;
use crate::output;

use super::template::{HEADER, Place, Row, Template};

/// Columns are at least this wide.
const MIN_WIDTH: usize = 10;

/// And this far apart.
const GAP: usize = 3;

/// What a kind of list can show.
pub(crate) struct Columns {
    /// Field and heading.
    pub(crate) headings: &'static [(&'static str, &'static str)],
    /// The template of the table, cells parted by tabs.
    pub(crate) table: &'static str,
    /// The template of `--quiet`.
    pub(crate) quiet: &'static str,
}

/// How a list is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted<'a> {
    /// `--format`; empty is the table.
    pub(crate) format: &'a str,
    pub(crate) quiet: bool,
}

/// Prints the rows as wanted.
pub(crate) fn print(columns: &Columns, wanted: Wanted<'_>, rows: Vec<Row>) -> Result<()> {
    render(columns, wanted, rows).map(|text| output::write(&text))
}

fn render(columns: &Columns, wanted: Wanted<'_>, rows: Vec<Row>) -> Result<String> {
    let (is_table, source) = match wanted.format {
        "" | "table" if wanted.quiet => (false, columns.quiet.to_owned()),
        "" | "table" => (true, columns.table.to_owned()),
        "json" => (false, "{{json .}}".to_owned()),
        format => match format.strip_prefix("table") {
            Some(rest) if rest.starts_with([' ', '\t', '{', '\\']) => (true, unescape(rest.trim())),
            _ if wanted.quiet => (false, columns.quiet.to_owned()),
            _ => (false, unescape(format)),
        },
    };
    let template = Template::compile(&source, Place::Row)?;
    let mut lines = Vec::with_capacity(rows.len() + 1);
    if is_table {
        let header =
            columns.headings.iter().fold(Row::default(), |row, (field, heading)| row.with(field, *heading));
        let heading = Template::compile(&source, Place::Header)?;
        lines.push(heading.render(&header.with(HEADER, "").into_value())?);
    }
    for row in rows {
        lines.push(template.render(&row.into_value())?);
    }
    Ok(if is_table { align(&lines) } else { lines.iter().map(|line| format!("{line}\n")).collect() })
}

/// What `\t` and `\n` stand for in a format.
fn unescape(format: &str) -> String {
    format.replace("\\t", "\t").replace("\\n", "\n")
}

/// Puts cells parted by tabs under each other, as Go's tabwriter with Docker's settings.
fn align(lines: &[String]) -> String {
    align_to(lines, MIN_WIDTH)
}

/// The same with columns of at least `min_width`.
pub(crate) fn align_to(lines: &[String], min_width: usize) -> String {
    let rows: Vec<Vec<&str>> =
        lines.iter().flat_map(|line| line.split('\n')).map(|line| line.split('\t').collect()).collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths = vec![0; count];
    for row in &rows {
        // What follows the last tab belongs to no column.
        for (width, cell) in widths.iter_mut().zip(&row[..row.len() - 1]) {
            *width = (cell.chars().count() + GAP).max(*width).max(min_width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        for (at, cell) in row.iter().enumerate() {
            text.push_str(cell);
            if at + 1 < row.len() {
                let blanks = widths[at].saturating_sub(cell.chars().count());
                text.extend(std::iter::repeat_n(' ', blanks));
            }
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: Columns = Columns {
        headings: &[("Name", "NAME"), ("Size", "SIZE")],
        table: "{{.Name}}\t{{.Size}}",
        quiet: "{{.Name}}",
    };

    fn show(format: &str, quiet: bool) -> String {
        let rows = vec![
            Row::default().with("Name", "a").with("Size", "1kB"),
            Row::default().with("Name", "somewhat-long").with("Size", "2kB"),
        ];
        render(&COLUMNS, Wanted { format, quiet }, rows).unwrap()
    }

    #[test]
    fn formats() {
        let table = "NAME            SIZE\na               1kB\nsomewhat-long   2kB\n";
        assert_eq!(show("", false), table);
        assert_eq!(show("table", false), table);
        assert_eq!(show("", true), "a\nsomewhat-long\n");
        assert_eq!(show("{{.Size}}", false), "1kB\n2kB\n");
        assert_eq!(
            show("table {{.Size}}\\t{{.Name}}", false),
            "SIZE      NAME\n1kB       a\n2kB       somewhat-long\n"
        );
        assert!(show("json", false).starts_with("{\"Name\":\"a\",\"Size\":\"1kB\"}\n"));
    }
}
