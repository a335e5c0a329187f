//! The standard streams of a container's init over a checkpoint: `descriptors.json` among the images.
//!
//! ```text
//! ["/dev/pts/0", "pipe:[71]", "file[3a:2f1]"]      stdin, stdout, stderr
//!   from inside   a pipe       a file from outside  (mount id and inode, hexadecimal: CRIU's name for it)
//! ```
//!
//! The latter two are known to nobody when the container is restored: our own stream of the same number takes their
//! place. Pipes are kept so by runc too; a file from outside (`/dev/null` of the host, a log) it can't save at all.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::mount_table::Mounted;
use super::rpc::InheritedFd;
use crate::error::{Error, Result};

const FILE: &str = "descriptors.json";

/// The three streams of a process, as the file lists them.
pub(super) fn of_process(pid: i32, mounts: &[Mounted]) -> Vec<String> {
    (0..3).map(|number| of_stream(pid, number, mounts)).collect()
}

fn of_stream(pid: i32, number: i32, mounts: &[Mounted]) -> String {
    let link = format!("/proc/{pid}/fd/{number}");
    // A closed stream is one with nothing to say.
    let target = fs::read_link(&link).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let Ok(metadata) = fs::metadata(&link) else { return target };
    let kind = metadata.file_type();
    let memory_device = kind.is_char_device() && rustix::fs::major(metadata.rdev()) == MEMORY;
    let on_a_filesystem = target.starts_with('/') && (kind.is_file() || kind.is_fifo() || memory_device);
    match mount_id(pid, number) {
        Some(id) if on_a_filesystem && !mounts.iter().any(|mount| mount.id == id) => {
            format!("file[{id:x}:{:x}]", metadata.ino())
        }
        _ => target,
    }
}

/// The major number of `/dev/null` and its like, which CRIU treats as files.
const MEMORY: u32 = 1;

fn mount_id(pid: i32, number: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
}

/// Those of the streams that a dump has to take for granted.
pub(super) fn external(streams: &[String]) -> Vec<String> {
    let mut files: Vec<String> =
        streams.iter().filter(|stream| stream.starts_with("file[")).cloned().collect();
    files.dedup();
    files
}

/// Which of our own streams stand for which of the container's.
pub(super) fn inherited(streams: &[String]) -> Vec<InheritedFd> {
    let mut out: Vec<InheritedFd> = Vec::new();
    for (fd, stream) in (0..3).zip(streams) {
        let replaced = stream.starts_with("pipe:[") || stream.starts_with("file[");
        // Two streams that were one stay one.
        if replaced && !out.iter().any(|known| known.key == *stream) {
            out.push(InheritedFd { key: stream.clone(), fd });
        }
    }
    out
}

/// Writes the file.
pub(super) fn save(images: &Path, streams: &[String]) -> Result<()> {
    let path = images.join(FILE);
    let text = serde_json::to_vec(streams)
        .map_err(|error| Error::Document { path: path.clone(), reason: error.to_string() })?;
    fs::write(&path, text).map_err(|error| Error::File {
        operation: "write".into(),
        path,
        source: error.into(),
    })
}

/// Reads it back.
pub(super) fn load(images: &Path) -> Result<Vec<String>> {
    let path = images.join(FILE);
    let text = fs::read(&path).map_err(|error| Error::File {
        operation: "read".into(),
        path: path.clone(),
        source: error.into(),
    })?;
    serde_json::from_slice(&text).map_err(|error| Error::Document { path, reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_and_files_from_outside_are_replaced_each_once() {
        let of = |streams: [&str; 3]| {
            let streams = streams.map(str::to_owned);
            let inherited = inherited(&streams).into_iter().map(|fd| (fd.key, fd.fd)).collect::<Vec<_>>();
            (external(&streams), inherited)
        };
        let name = str::to_owned;
        assert_eq!(of(["/dev/pts/0", "", "/dev/null"]), (vec![], vec![]));
        assert_eq!(
            of(["pipe:[1]", "pipe:[2]", "pipe:[2]"]),
            (vec![], vec![(name("pipe:[1]"), 0), (name("pipe:[2]"), 1)])
        );
        let file = name("file[1a:2b]");
        assert_eq!(of(["/", "file[1a:2b]", "file[1a:2b]"]), (vec![file.clone()], vec![(file, 1)]));
    }

    #[test]
    fn a_stream_is_from_outside_if_its_mount_is_not_among_those_given() {
        let pid = std::process::id() as i32;
        let own = super::super::mount_table::of_process("self").unwrap();
        let file = fs::File::open("/etc/passwd").unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        assert_eq!(of_stream(pid, number, &own), "/etc/passwd");
        let inode = file.metadata().unwrap().ino();
        let outside = of_stream(pid, number, &[]);
        assert!(outside.starts_with("file[") && outside.ends_with(&format!(":{inode:x}]")), "{outside}");
    }
}
