//! When a log file is full: `log` becomes `log.1`, `log.1` becomes `log.2`, …; the oldest goes.
//!
//! Compression is done by a short-lived process of its own (`barge-shim --compress FILE`), so that the shim
//! neither waits for it nor keeps its memory. It ends before the next rotation renames its files.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, PipeReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::config::JsonFileConfig;

/// The word that makes the shim's program compress a file instead.
pub(crate) const COMPRESS: &str = "--compress";

/// The rules of one log's rotation.
#[derive(Debug)]
pub(super) struct Rotation {
    path: PathBuf,
    max_size: Option<u64>,
    /// How many files are kept beside the current one.
    older: u32,
    compress: bool,
    /// Ends when the compression that was begun last ends.
    compressing: Option<PipeReader>,
}

/// The file of `path`'s generation `number`: `path.1` was the current one before the last rotation.
pub(super) fn generation(path: &Path, number: u32) -> PathBuf {
    with_suffix(path, &format!(".{number}"))
}

/// The compressed form of a file.
pub(super) fn compressed(path: &Path) -> PathBuf {
    with_suffix(path, ".gz")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

impl Rotation {
    pub(super) fn new(config: &JsonFileConfig) -> Self {
        Self {
            path: config.path.clone(),
            max_size: config.max_size,
            older: config.max_file.saturating_sub(1),
            compress: config.compress,
            compressing: None,
        }
    }

    /// Whether the next entry belongs into a new file. As in Docker an entry may go over the limit, once.
    pub(super) fn is_due(&self, size: u64) -> bool {
        self.max_size.is_some_and(|max| size >= max && size > 0)
    }

    /// Moves every file one generation on and opens the new current one.
    pub(super) fn rotate(&mut self) -> io::Result<File> {
        self.await_compression();
        if self.older == 0 {
            // A new file rather than a truncated one: a reader that follows still has the rest of the old one.
            absent_is_fine(fs::remove_file(&self.path))?;
        } else {
            self.shift()?;
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
        if self.compress && self.older > 0 {
            // Not compressed is better than not logged.
            self.compressing = begin_compression(&generation(&self.path, 1)).ok();
        }
        Ok(file)
    }

    fn shift(&self) -> io::Result<()> {
        for number in (1..=self.older).rev() {
            let plain = generation(&self.path, number);
            for file in [compressed(&plain), plain] {
                if number == self.older {
                    absent_is_fine(fs::remove_file(&file))?;
                }
            }
            if number > 1 {
                let younger = generation(&self.path, number - 1);
                let older = generation(&self.path, number);
                absent_is_fine(fs::rename(compressed(&younger), compressed(&older)))?;
                absent_is_fine(fs::rename(&younger, &older))?;
            }
        }
        absent_is_fine(fs::rename(&self.path, generation(&self.path, 1)))
    }

    fn await_compression(&mut self) {
        if let Some(mut pipe) = self.compressing.take() {
            // Nothing is ever sent: the read ends when the process does.
            let _ = pipe.read(&mut [0]);
        }
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Starts the process that compresses `path`; the pipe ends with it. The shim's reaper reaps it.
fn begin_compression(path: &Path) -> io::Result<PipeReader> {
    let (reader, writer) = io::pipe()?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0("barge-shim").arg("shim").arg(COMPRESS).arg(path);
    command.stdin(Stdio::null()).stdout(writer).stderr(Stdio::inherit());
    command.spawn()?;
    Ok(reader)
}

/// Replaces `path` by `path.gz`: what the process started for a full log file does.
pub(crate) fn compress(path: &Path) -> io::Result<()> {
    let (target, partial) = (compressed(path), with_suffix(path, ".gz.partial"));
    let mut source = File::open(path)?;
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o640).open(&partial)?;
    let mut encoder = GzEncoder::new(file, Compression::default());
    io::copy(&mut source, &mut encoder)?;
    encoder.finish()?.flush()?;
    fs::rename(&partial, &target)?;
    fs::remove_file(path)
}

#[cfg(test)]
mod tests {
    use super::super::json_file::JsonFile;
    use super::super::{Driver, Stream};
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn only_max_file_files_are_kept_and_none_is_much_over_max_size() {
        for (max_file, wanted) in [(0, vec!["l"]), (1, vec!["l"]), (3, vec!["l", "l.1", "l.2"])] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("l");
            let config =
                JsonFileConfig { path: path.clone(), max_size: Some(1000), max_file, ..Default::default() };
            let mut log = JsonFile::open(&config).unwrap();
            for number in 0..100 {
                log.write(Stream::Stdout, format!("line {number}\nand another\n").as_bytes()).unwrap();
            }
            log.close().unwrap();
            assert_eq!(names(directory.path()), wanted);
            for name in &wanted {
                assert!(fs::metadata(directory.path().join(name)).unwrap().len() < 1100);
            }
            let newest = fs::read_to_string(&path).unwrap();
            assert!(newest.lines().last().unwrap().contains("and another"));
        }
    }

    #[test]
    fn a_compressed_file_takes_the_plain_ones_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("l.1");
        fs::write(&path, "text").unwrap();
        compress(&path).unwrap();
        assert_eq!(names(directory.path()), ["l.1.gz"]);
        let mut text = String::new();
        let file = File::open(compressed(&path)).unwrap();
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "text");
    }
}
