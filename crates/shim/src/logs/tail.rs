//! Where the last lines of a file begin, found from its end in blocks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 64 * 1024;

/// Where to start reading for the last lines of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// At this offset.
    At(u64),
    /// At its beginning, and this many lines more are in older files.
    Missing(u64),
}

/// Finds the last `wanted` complete lines. Bytes after the last newline are no line yet.
pub(super) fn find(file: &File, wanted: u64) -> io::Result<Start> {
    let mut end = file.metadata()?.len();
    if wanted == 0 {
        return Ok(Start::At(end));
    }
    let mut found = 0;
    let mut block = Vec::new();
    while end > 0 {
        let begin = end.saturating_sub(BLOCK);
        block.resize(usize::try_from(end - begin).unwrap_or_default(), 0);
        file.read_exact_at(&mut block, begin)?;
        for (at, _) in block.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            if found == wanted {
                return Ok(Start::At(begin + at as u64 + 1));
            }
            found += 1;
        }
        end = begin;
    }
    Ok(if found == wanted { Start::At(0) } else { Start::Missing(wanted - found) })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_last_lines_are_found_across_blocks() {
        let long = "x".repeat(100_000);
        let cases: Vec<(String, u64, Start)> = vec![
            (String::new(), 3, Start::Missing(3)),
            ("a\nb\nc\n".into(), 2, Start::At(2)),
            ("a\nb\nc\n".into(), 3, Start::At(0)),
            ("a\nb\nc\n".into(), 5, Start::Missing(2)),
            ("a\nb\ntorn".into(), 1, Start::At(2)),
            ("a\nb\n".into(), 0, Start::At(4)),
            (format!("a\n{long}\n{long}\n"), 2, Start::At(2)),
        ];
        for (text, wanted, start) in cases {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            assert_eq!(find(&file, wanted).unwrap(), start);
        }
    }
}
