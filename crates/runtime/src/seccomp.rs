//! Seccomp filters: a profile is compiled once to the kernel's instructions and kept as a file by its hash.
//!
//! ```text
//! LinuxSeccomp ──hash──> <cache>/<hash>.bpf ──read──> Filter ──load──> seccomp(2)
//!                              ^                        ^
//!                              └── libseccomp compiles ─┘   only when there is no file
//! ```
//!
//! Compiling Docker's profile takes 9 ms, reading the result back and loading it a few hundred microseconds. The
//! files hold nothing but instructions, 8 bytes each in the host's order; a damaged one is compiled again.

mod cache;
mod compile;
mod listener;
#[cfg(any(test, fuzzing))]
mod machine;
mod overlap;
#[cfg(any(test, fuzzing))]
mod rehearsal;

use std::os::fd::AsRawFd;
use std::path::Path;

use barge_oci::runtime_spec::{LinuxSeccomp, LinuxSeccompFilterFlag};
use barge_sys::seccomp::{self, Instruction};

use crate::channel::{Channel, Report};
use crate::error::{Error, Result};
pub(crate) use compile::ARCHITECTURES;
pub(crate) use listener::{Listener, Owner};
#[cfg(any(test, fuzzing))]
pub(crate) use rehearsal::rehearse;

/// A filter ready to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    instructions: Vec<Instruction>,
    flags: u64,
    listener: Option<Listener>,
}

impl Filter {
    /// The filter of a profile, from the cache when there is one that has it.
    ///
    /// `owner` is the container that a profile's listener is told of.
    pub(crate) fn of(profile: &LinuxSeccomp, cache: Option<&Path>, owner: Owner<'_>) -> Result<Self> {
        let listener = Listener::of(profile, owner)?;
        let flags = flags(profile, listener.is_some());
        let instructions = instructions(profile, cache)?;
        Ok(Self { instructions, flags, listener })
    }

    /// Who decides on what the profile leaves open.
    pub(crate) fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    /// Puts this process under the filter, for good. With a listener, waits until the parent has handed it on.
    pub(crate) fn load(&self, channel: &Channel) -> Result<()> {
        let failed = |error: std::io::Error| Error::SeccompLoad { source: error.into() };
        if self.listener.is_none() {
            return seccomp::load(&self.instructions, self.flags).map_err(failed);
        }
        let fd = seccomp::load_with_listener(&self.instructions, self.flags).map_err(failed)?;
        // By its number: the filter may forbid what sending a descriptor needs.
        channel.report(&Report::Listener { number: fd.as_raw_fd() }, None)?;
        if channel.wait()? { Ok(()) } else { Err(Error::InitDied) }
    }
}

fn instructions(profile: &LinuxSeccomp, cache: Option<&Path>) -> Result<Vec<Instruction>> {
    let Some(directory) = cache else { return compile::compile(profile) };
    let file = directory.join(cache::file_name(profile)?);
    if let Some(instructions) = cache::read(&file) {
        return Ok(instructions);
    }
    let instructions = compile::compile(profile)?;
    cache::write(&file, &instructions)?;
    Ok(instructions)
}

/// `TSYNC` is left out: the process has one thread. To wait killably is for those who wait for a listener. A profile that
/// says nothing of flags, not even that it wants none, gets what runc gives it.
fn flags(profile: &LinuxSeccomp, listens: bool) -> u64 {
    let Some(wanted) = profile.flags() else { return seccomp::flag::SPEC_ALLOW };
    wanted.iter().fold(0, |all, flag| {
        all | match flag {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => seccomp::flag::LOG,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => seccomp::flag::SPEC_ALLOW,
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv if listens => {
                seccomp::flag::WAIT_KILLABLE_RECV
            }
            _ => 0,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_those_of_the_profile_or_runcs() {
        use barge_sys::seccomp::flag::{LOG, SPEC_ALLOW, WAIT_KILLABLE_RECV};
        let all = r#","flags":["SECCOMP_FILTER_FLAG_TSYNC","SECCOMP_FILTER_FLAG_LOG","SECCOMP_FILTER_FLAG_SPEC_ALLOW",
            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]"#;
        for (text, listens, expected) in [
            ("", false, SPEC_ALLOW),
            (r#","flags":null"#, false, SPEC_ALLOW),
            (r#","flags":[]"#, false, 0),
            (all, false, LOG | SPEC_ALLOW),
            (all, true, LOG | SPEC_ALLOW | WAIT_KILLABLE_RECV),
        ] {
            let json = format!(r#"{{"defaultAction":"SCMP_ACT_ALLOW"{text}}}"#);
            assert_eq!(flags(&serde_json::from_str(&json).unwrap(), listens), expected, "{json}");
        }
    }
}
