//! CRIU's log: the only place where it says what went wrong.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// How many errors are quoted. The last ones are nearest to the end, the first of them nearest to the cause.
const QUOTED: usize = 3;

/// How much of a log is read, from its end: that of many processes is long.
const READ: u64 = 1 << 20;

/// The last errors of the log at `path`, on one line; `None` when it has none or is not there.
pub(super) fn last_errors(path: &Path) -> Option<String> {
    // Whoever can write to the directory may have put something else there.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mut file = fs::File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let length = file.metadata().ok().filter(fs::Metadata::is_file)?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(READ))).ok()?;
    let mut text = Vec::new();
    file.take(READ).read_to_end(&mut text).ok()?;
    errors(&String::from_utf8_lossy(&text))
}

/// Picks the lines of errors, without their times. That all has failed is known.
fn errors(text: &str) -> Option<String> {
    let said = |line: &&str| !line.ends_with("FAILED.");
    let lines: Vec<&str> =
        text.lines().filter_map(|line| line.find("Error (").map(|at| &line[at..])).collect();
    let telling: Vec<&str> = lines.iter().copied().filter(said).collect();
    let chosen = if telling.is_empty() { lines } else { telling };
    let quoted = &chosen[chosen.len().saturating_sub(QUOTED)..];
    (!quoted.is_empty()).then(|| quoted.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_errors_are_told_and_not_that_it_failed() {
        let cases = [
            ("(00.1) mnt: fine\n", None),
            (
                "(00.1) Error (a.c:1): one\n(00.2) x\n(00.3) Error (b.c:2): Dumping FAILED.\n",
                Some("Error (a.c:1): one"),
            ),
            ("(00.3)      1: Error (b.c:2): Dumping FAILED.", Some("Error (b.c:2): Dumping FAILED.")),
            ("Error (1)\nError (2)\nError (3)\nError (4)", Some("Error (2); Error (3); Error (4)")),
        ];
        for (text, expected) in cases {
            assert_eq!(errors(text).as_deref(), expected, "{text}");
        }
    }
}
