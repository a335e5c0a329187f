//! Compiled filters as files.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use barge_oci::digest::Digest;
use barge_oci::runtime_spec::LinuxSeccomp;
use barge_sys::seccomp::{Instruction, MAX_INSTRUCTIONS};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;

use super::compile;
use crate::error::{Error, Result};

/// The name of a profile's file: the hash of the profile, of the machine and of what compiles it.
pub(super) fn file_name(profile: &LinuxSeccomp) -> Result<String> {
    let mut text =
        serde_json::to_vec(profile).map_err(|e| Error::SeccompProfile { reason: e.to_string() })?;
    text.extend_from_slice(compile::identity().as_bytes());
    Ok(format!("{}.bpf", Digest::sha256_of(&text).hex()))
}

/// The instructions in a file; `None` when it is missing or not whole.
pub(super) fn read(file: &Path) -> Option<Vec<Instruction>> {
    decode(&fs::read(file).ok()?)
}

/// Puts a file in its place when all is in it: a reader sees all of it or none, and a writer that is killed leaves
/// nothing.
pub(super) fn write(file: &Path, instructions: &[Instruction]) -> Result<()> {
    let failed = |error: std::io::Error| Error::SeccompCache { path: file.into(), source: error.into() };
    let Some(directory) = file.parent() else { return Err(failed(ErrorKind::InvalidInput.into())) };
    if let Err(error) = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
        && error.kind() != ErrorKind::AlreadyExists
    {
        return Err(failed(error));
    }
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    let nameless = match rustix::fs::open(directory, flags, Mode::RUSR | Mode::WUSR) {
        Ok(nameless) => fs::File::from(nameless),
        Err(Errno::OPNOTSUPP | Errno::ISDIR) => return write_beside(file, instructions).map_err(failed),
        Err(errno) => return Err(failed(errno.into())),
    };
    (&nameless).write_all(&encode(instructions)).and_then(|()| name(&nameless, file)).map_err(failed)
}

/// Gives a file its name, which a damaged one may have.
fn name(nameless: &fs::File, file: &Path) -> std::io::Result<()> {
    let number = Path::new("/proc/self/fd").join(nameless.as_raw_fd().to_string());
    let link = || rustix::fs::linkat(CWD, &number, CWD, file, AtFlags::SYMLINK_FOLLOW);
    match link() {
        Err(Errno::EXIST) => {}
        result => return Ok(result?),
    }
    match fs::remove_file(file).map(|()| link()) {
        // Somebody else has just put the same there.
        Ok(Ok(()) | Err(Errno::EXIST)) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Ok(Err(errno)) => Err(errno.into()),
        Err(error) => Err(error),
    }
}

/// For filesystems that have no files without names.
fn write_beside(file: &Path, instructions: &[Instruction]) -> std::io::Result<()> {
    let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut out| out.write_all(&encode(instructions)))
        .and_then(|()| fs::rename(&temporary, file))
        .inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
}

fn encode(instructions: &[Instruction]) -> Vec<u8> {
    let mut out = Vec::with_capacity(instructions.len() * 8);
    for i in instructions {
        out.extend_from_slice(&i.code.to_ne_bytes());
        out.extend_from_slice(&[i.jump_true, i.jump_false]);
        out.extend_from_slice(&i.operand.to_ne_bytes());
    }
    out
}

pub(super) fn decode(bytes: &[u8]) -> Option<Vec<Instruction>> {
    let (records, rest) = bytes.as_chunks::<8>();
    let whole = rest.is_empty() && !records.is_empty() && records.len() <= MAX_INSTRUCTIONS;
    whole.then(|| {
        let decode = |r: &[u8; 8]| Instruction {
            code: u16::from_ne_bytes([r[0], r[1]]),
            jump_true: r[2],
            jump_false: r[3],
            operand: u32::from_ne_bytes([r[4], r[5], r[6], r[7]]),
        };
        records.iter().map(decode).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(json: &str) -> LinuxSeccomp {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_name_follows_the_profile() {
        let one = profile(r#"{"defaultAction":"SCMP_ACT_ALLOW"}"#);
        let same = profile(r#"{ "defaultAction" : "SCMP_ACT_ALLOW" }"#);
        let other = profile(r#"{"defaultAction":"SCMP_ACT_ERRNO"}"#);
        assert_eq!(file_name(&one).unwrap(), file_name(&same).unwrap());
        assert_ne!(file_name(&one).unwrap(), file_name(&other).unwrap());
    }

    #[test]
    fn instructions_survive_the_file_and_damage_is_noticed() {
        let list = vec![Instruction { code: 0x20, jump_true: 1, jump_false: 2, operand: 0xdead_beef }; 3];
        let bytes = encode(&list);
        assert_eq!(decode(&bytes), Some(list));
        for damaged in [&bytes[..23], &[][..], &vec![0; 8 * (MAX_INSTRUCTIONS + 1)]] {
            assert_eq!(decode(damaged), None);
        }
    }

    #[test]
    fn a_file_appears_whole_and_takes_the_place_of_a_damaged_one() {
        let directory = std::env::temp_dir().join(format!("barge-seccomp-cache-{}", std::process::id()));
        let file = directory.join("x.bpf");
        let list = vec![Instruction { code: 0x06, jump_true: 0, jump_false: 0, operand: 7 }];
        for _ in 0..2 {
            write(&file, &list).unwrap();
            assert_eq!(read(&file), Some(list.clone()));
            fs::write(&file, b"damaged").unwrap();
            assert_eq!(read(&file), None);
        }
        write_beside(&file, &list).unwrap();
        assert_eq!(read(&file), Some(list));
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
        fs::remove_dir_all(&directory).unwrap();
    }
}
