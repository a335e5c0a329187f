//! The standard streams of a container's init over a checkpoint: `descriptors.json` among the images.
//!
//! ```text
//! ["/dev/pts/0", "pipe:[71]", "file[3a:2f1]"]      stdin, stdout, stderr
//!   from inside   a pipe       a file from outside  (mount id and inode, hexadecimal: CRIU's name for it)
//!                              "file[7:4]/dev/null" the host's null device
//! ```
//!
//! The latter ones are known to nobody when the container is restored. Nothing stays nothing; for the others our own
//! stream of the same number takes their place; CRIU insists that a file has the length and the mode that it had. Pipes
//! are kept so by runc too; a file from outside (the null device, a log) it can't save at all.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use rustix::fs::{Mode, OFlags};

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
            let null = kind.is_char_device() && rustix::fs::minor(metadata.rdev()) == NULL_DEVICE;
            format!("file[{id:x}:{:x}]{}", metadata.ino(), if null { NULL } else { "" })
        }
        _ => target,
    }
}

/// The major number of `/dev/null` and its like, which CRIU treats as files.
const MEMORY: u32 = 1;
const NULL_DEVICE: u32 = 3;
const NULL: &str = "/dev/null";

fn mount_id(pid: i32, number: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
}

/// CRIU's name for a stream that is from outside, if it is.
fn key(stream: &str) -> Option<&str> {
    let end = if stream.starts_with("file[") { stream.find(']')? + 1 } else { stream.len() };
    (stream.starts_with("pipe:[") || stream.starts_with("file[")).then(|| &stream[..end])
}

/// Those of the streams that a dump has to take for granted.
pub(super) fn external(streams: &[String]) -> Vec<String> {
    let keys = streams.iter().filter_map(|stream| key(stream)).filter(|key| key.starts_with("file["));
    let mut files: Vec<String> = keys.map(str::to_owned).collect();
    files.sort();
    files.dedup();
    files
}

/// The null device, if one of the streams is to be that.
pub(super) fn null_device(streams: &[String]) -> Result<Option<OwnedFd>> {
    if !streams.iter().any(|stream| is_null(stream)) {
        return Ok(None);
    }
    let opened = fs::OpenOptions::new().read(true).write(true).open(NULL);
    opened.map(|file| Some(file.into())).map_err(|error| Error::File {
        operation: "open".into(),
        path: NULL.into(),
        source: error.into(),
    })
}

fn is_null(stream: &str) -> bool {
    stream.starts_with("file[") && stream.ends_with(NULL)
}

/// Which of our descriptors stand for which of the container's streams.
pub(super) fn inherited(streams: &[String], null: Option<&OwnedFd>) -> Vec<InheritedFd> {
    let mut out: Vec<InheritedFd> = Vec::new();
    for (own, stream) in (0..3).zip(streams) {
        let Some(key) = key(stream) else { continue };
        // Two streams that were one stay one.
        if !out.iter().any(|known| known.key == key) {
            let fd = null.filter(|_| is_null(stream)).map_or(own, AsRawFd::as_raw_fd);
            out.push(InheritedFd { key: key.to_owned(), fd });
        }
    }
    out
}

/// Writes the file, through no link.
pub(super) fn save(images: &OwnedFd, streams: &[String]) -> Result<()> {
    let text = serde_json::to_vec(streams)
        .map_err(|error| Error::Document { path: FILE.into(), reason: error.to_string() })?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let mut file = open(images, flags).map_err(failed("write"))?;
    file.write_all(&text).map_err(failed("write"))
}

/// Reads it back.
pub(super) fn load(images: &OwnedFd) -> Result<Vec<String>> {
    let mut text = String::new();
    let file = open(images, OFlags::RDONLY).map_err(failed("read"))?;
    file.take(MOST).read_to_string(&mut text).map_err(failed("read"))?;
    serde_json::from_str(&text)
        .map_err(|error| Error::Document { path: FILE.into(), reason: error.to_string() })
}

/// More than three names of files can need.
const MOST: u64 = 64 * 1024;

fn open(images: &OwnedFd, flags: OFlags) -> io::Result<fs::File> {
    // Not to wait for a partner if it is a pipe.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = fs::File::from(rustix::fs::openat(images, FILE, flags, Mode::from_raw_mode(0o600))?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::InvalidInput.into()) }
}

fn failed(operation: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::File { operation: operation.into(), path: FILE.into(), source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_and_files_from_outside_are_replaced_each_once() {
        let of = |streams: [&str; 3]| {
            let streams = streams.map(str::to_owned);
            let inherited =
                inherited(&streams, None).into_iter().map(|fd| (fd.key, fd.fd)).collect::<Vec<_>>();
            (external(&streams), inherited)
        };
        let name = str::to_owned;
        assert_eq!(of(["/dev/pts/0", "", "/dev/null"]), (vec![], vec![]));
        assert_eq!(
            of(["pipe:[1]", "pipe:[2]", "pipe:[2]"]),
            (vec![], vec![(name("pipe:[1]"), 0), (name("pipe:[2]"), 1)])
        );
        let file = name("file[1a:2b]");
        assert_eq!(of(["/", "file[1a:2b]", "file[1a:2b]"]), (vec![file.clone()], vec![(file.clone(), 1)]));
        assert_eq!(of(["file[1a:2b]/dev/null", "", "file["]), (vec![file.clone()], vec![(file, 0)]));
    }

    #[test]
    fn streams_are_kept_in_a_file_that_is_one() {
        let directory = std::env::temp_dir().join(format!("barge-descriptors-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let images = OwnedFd::from(fs::File::open(&directory).unwrap());
        let streams = ["pipe:[1]", "", "/dev/null"].map(str::to_owned);
        save(&images, &streams).unwrap();
        assert_eq!(load(&images).unwrap(), streams);
        let (file, other) = (directory.join(FILE), directory.join("other"));
        fs::rename(&file, &other).unwrap();
        std::os::unix::fs::symlink(&other, &file).unwrap();
        assert!(save(&images, &[]).is_err() && load(&images).is_err());
        fs::remove_file(&file).unwrap();
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(&images, FILE, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert!(save(&images, &[]).is_err() && load(&images).is_err());
        fs::remove_file(&file).unwrap();
        fs::write(&file, "x".repeat(MOST as usize + 9)).unwrap();
        assert!(load(&images).is_err());
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn nothing_stays_nothing() {
        let streams = ["file[7:4]/dev/null", "pipe:[1]", "file[7:4]/dev/null"].map(str::to_owned);
        let null = null_device(&streams).unwrap();
        let number = null.as_ref().unwrap().as_raw_fd();
        let inherited = inherited(&streams, null.as_ref()).into_iter().map(|fd| (fd.key, fd.fd));
        let expected = [("file[7:4]".to_owned(), number), ("pipe:[1]".to_owned(), 1)];
        assert_eq!(inherited.collect::<Vec<_>>(), expected);
        assert!(null_device(&["/dev/null".to_owned()]).unwrap().is_none());
    }

    #[test]
    fn a_stream_is_from_outside_if_its_mount_is_not_among_those_given() {
        let pid = std::process::id() as i32;
        let own = super::super::mount_table::of_process("self").unwrap();
        let file = fs::File::open("/etc/passwd").unwrap();
        let number = file.as_raw_fd();
        assert_eq!(of_stream(pid, number, &own), "/etc/passwd");
        let inode = file.metadata().unwrap().ino();
        let outside = of_stream(pid, number, &[]);
        assert!(outside.starts_with("file[") && outside.ends_with(&format!(":{inode:x}]")), "{outside}");
        let null = fs::File::open("/dev/null").unwrap();
        let outside = of_stream(pid, null.as_raw_fd(), &[]);
        assert!(outside.starts_with("file[") && outside.ends_with("]/dev/null"), "{outside}");
    }
}
