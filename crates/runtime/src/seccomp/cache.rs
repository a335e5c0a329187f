//! Compiled filters as files.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use barge_oci::digest::Digest;
use barge_oci::runtime_spec::LinuxSeccomp;
use barge_sys::seccomp::{Instruction, MAX_INSTRUCTIONS};

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

/// Writes a file beside its name and moves it there: a reader sees all of it or none.
pub(super) fn write(file: &Path, instructions: &[Instruction]) -> Result<()> {
    let failed = |error: std::io::Error| Error::SeccompCache { path: file.into(), source: error.into() };
    if let Some(directory) = file.parent()
        && let Err(error) = fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
        && error.kind() != ErrorKind::AlreadyExists
    {
        return Err(failed(error));
    }
    let temporary = file.with_extension(format!("{}.tmp", std::process::id()));
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .and_then(|mut out| out.write_all(&encode(instructions)))
        .and_then(|()| fs::rename(&temporary, file));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        failed(error)
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
}
