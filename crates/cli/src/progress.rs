//! Progress of pulls, pushes and loads: bars that move on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};

use barge_api::progress::{JsonMessage, ProgressDetail};
use barge_client::Lines;

use crate::failure::{Failure, Result};
use crate::output::units::{human_size, human_size_with};
use crate::stream::terminal;

/// Where progress is shown.
pub(crate) struct Display<W> {
    out: W,
    /// `None` is no terminal.
    columns: Option<u16>,
    /// Which line each bar is on.
    bars: HashMap<String, usize>,
}

/// Shows a stream on standard output, or nowhere; returns what came along for programs.
pub(crate) async fn show(lines: Lines<JsonMessage>, quiet: bool) -> Result<Vec<serde_json::Value>> {
    let stdout = io::stdout();
    let columns = stdout.is_terminal().then(|| terminal::size(&stdout).map_or(80, |size| size.1));
    if quiet {
        follow(lines, Display::new(io::sink(), None)).await
    } else {
        follow(lines, Display::new(stdout, columns)).await
    }
}

/// Shows a stream on standard error, or nowhere.
pub(crate) async fn show_on_stderr(lines: Lines<JsonMessage>, quiet: bool) -> Result<()> {
    let stderr = io::stderr();
    let columns = stderr.is_terminal().then(|| terminal::size(&stderr).map_or(80, |size| size.1));
    if quiet {
        follow(lines, Display::new(io::sink(), None)).await
    } else {
        follow(lines, Display::new(stderr, columns)).await
    }
    .map(drop)
}

async fn follow<W: Write>(
    mut lines: Lines<JsonMessage>,
    mut display: Display<W>,
) -> Result<Vec<serde_json::Value>> {
    let mut extra = Vec::new();
    while let Some(mut message) = lines.next().await? {
        if let Some(aux) = message.aux.take() {
            extra.push(aux);
            continue;
        }
        let error = message.error_detail.take().map(|detail| detail.message).filter(|text| !text.is_empty());
        if let Some(text) = error.or(Some(message.error.clone()).filter(|text| !text.is_empty())) {
            return Err(Failure::new(text));
        }
        // A reader that left does not stop the pull.
        let _ = display.message(&message);
    }
    Ok(extra)
}

impl<W: Write> Display<W> {
    fn new(out: W, columns: Option<u16>) -> Self {
        Self { out, columns, bars: HashMap::new() }
    }

    fn message(&mut self, message: &JsonMessage) -> io::Result<()> {
        let has_bar = message.progress_detail.is_some() || !message.progress.is_empty();
        let Some(columns) = self.columns else { return self.plain(message) };
        if message.id.is_empty() || !has_bar {
            self.bars.clear();
            return self.line(message, columns);
        }
        let fresh = self.bars.len();
        let line = *self.bars.entry(message.id.clone()).or_insert(fresh);
        if line == fresh {
            writeln!(self.out)?;
        }
        let up = self.bars.len() - line;
        write!(self.out, "\x1b[{up}A")?;
        self.line(message, columns)?;
        write!(self.out, "\x1b[{up}B")?;
        self.out.flush()
    }

    /// Without a terminal every step is one line, but bars are not shown.
    fn plain(&mut self, message: &JsonMessage) -> io::Result<()> {
        let moves =
            message.progress_detail.as_ref().is_some_and(|detail| detail.current > 0 || detail.total > 0);
        if moves {
            return Ok(());
        }
        if !message.stream.is_empty() {
            return write!(self.out, "{}", message.stream);
        }
        if !message.id.is_empty() {
            write!(self.out, "{}: ", message.id)?;
        }
        writeln!(self.out, "{}", message.status)
    }

    fn line(&mut self, message: &JsonMessage, columns: u16) -> io::Result<()> {
        if !message.stream.is_empty() {
            return write!(self.out, "{}", message.stream);
        }
        let mut end = "\n";
        if message.progress_detail.is_some() {
            write!(self.out, "\x1b[2K\r")?;
            end = "\r";
        }
        if !message.id.is_empty() {
            write!(self.out, "{}: ", message.id)?;
        }
        write!(self.out, "{}", message.status)?;
        if let Some(detail) = &message.progress_detail {
            write!(self.out, " {}", bar(detail, columns))?;
        } else if !message.progress.is_empty() {
            write!(self.out, " {}", message.progress)?;
        }
        write!(self.out, "{end}")?;
        self.out.flush()
    }
}

fn bar(detail: &ProgressDetail, columns: u16) -> String {
    if detail.current <= 0 && detail.total <= 0 {
        return String::new();
    }
    if detail.total <= 0 {
        return if detail.units.is_empty() {
            format!("{:>8}", human_size(detail.current))
        } else {
            format!("{} {}", detail.current, detail.units)
        };
    }
    let share = ((detail.current as f64 / detail.total as f64 * 50.0) as usize).min(50);
    let mut text = String::new();
    if columns > 110 {
        text.push('[');
        text.extend(std::iter::repeat_n('=', share));
        text.push('>');
        text.extend(std::iter::repeat_n(' ', 50 - share));
        text.push_str("] ");
    }
    if !detail.hide_counts {
        // A guess that was too low is not shown as a total.
        let numbers = if detail.current > detail.total {
            format!("{:>8}", human_size(detail.current))
        } else if detail.units.is_empty() {
            format!("{:>8}/{}", human_size(detail.current), human_size_with(detail.total, 4))
        } else {
            format!("{}/{} {}", detail.current, detail.total, detail.units)
        };
        text.push_str(&numbers);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(columns: Option<u16>, messages: &[JsonMessage]) -> String {
        let mut display = Display::new(Vec::new(), columns);
        for message in messages {
            display.message(message).unwrap();
        }
        String::from_utf8(display.out).unwrap()
    }

    fn messages() -> Vec<JsonMessage> {
        let detail = |current, total| Some(ProgressDetail { current, total, ..ProgressDetail::default() });
        vec![
            JsonMessage::status("latest", "Pulling from library/busybox"),
            JsonMessage { progress_detail: detail(0, 0), ..JsonMessage::status("abc", "Pulling fs layer") },
            JsonMessage { progress_detail: detail(5, 10), ..JsonMessage::status("abc", "Downloading") },
            JsonMessage { progress_detail: detail(0, 0), ..JsonMessage::status("abc", "Pull complete") },
            JsonMessage::status("", "Digest: sha256:0"),
        ]
    }

    #[test]
    fn files_get_one_line_a_step() {
        let expected = "latest: Pulling from library/busybox\nabc: Pulling fs layer\nabc: Pull complete\nDigest: sha256:0\n";
        assert_eq!(shown(None, &messages()), expected);
    }

    #[test]
    fn terminals_get_bars_that_stay_in_place() {
        let text = shown(Some(120), &messages());
        assert!(text.contains("\x1b[1A\x1b[2K\rabc: Downloading [=========================>"), "{text:?}");
        assert!(text.contains("5B/10B\r\x1b[1B"), "{text:?}");
    }
}
