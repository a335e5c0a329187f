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

use std::path::Path;

use barge_oci::runtime_spec::{LinuxSeccomp, LinuxSeccompFilterFlag};
use barge_sys::seccomp::{self, Instruction};

use crate::error::{Error, Result};

/// A filter ready to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Filter {
    instructions: Vec<Instruction>,
    flags: u64,
}

impl Filter {
    /// The filter of a profile, from the cache when there is one that has it.
    pub(crate) fn of(profile: &LinuxSeccomp, cache: Option<&Path>) -> Result<Self> {
        let flags = flags(profile);
        let Some(directory) = cache else {
            return Ok(Self { instructions: compile::compile(profile)?, flags });
        };
        let file = directory.join(cache::file_name(profile)?);
        if let Some(instructions) = cache::read(&file) {
            return Ok(Self { instructions, flags });
        }
        let instructions = compile::compile(profile)?;
        cache::write(&file, &instructions)?;
        Ok(Self { instructions, flags })
    }

    /// Puts this process under the filter, for good.
    pub(crate) fn load(&self) -> Result<()> {
        seccomp::load(&self.instructions, self.flags)
            .map_err(|error| Error::SeccompLoad { source: error.into() })
    }
}

/// `TSYNC` is left out: the process has one thread. Notification needs a listener, which `compile` refuses.
fn flags(profile: &LinuxSeccomp) -> u64 {
    profile.flags().iter().flatten().fold(0, |all, flag| {
        all | match flag {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => seccomp::flag::LOG,
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => seccomp::flag::SPEC_ALLOW,
            _ => 0,
        }
    })
}
