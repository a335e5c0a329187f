//! Descriptors above standard error that the caller wants the container to have.
//!
//! ```text
//! 3 … 3+s-1     sockets, by $LISTEN_FDS and $LISTEN_PID (sd_listen_fds(3)), which the container's program is told of
//! 3+s … 3+s+n-1 by --preserve-fds n
//! ```

use barge_oci::runtime_spec::Spec;

use crate::error::{Error, Result};

const FIRST: u16 = 3;

/// How many sockets this very process was started with.
pub(super) fn sockets() -> u16 {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u32>().ok());
    match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        (Some(pid), Some(count)) if pid == std::process::id() => u16::try_from(count).unwrap_or(0),
        _ => 0,
    }
}

/// Whether `count` descriptors are there. One that is not could become something of ours, which the container would get.
pub(super) fn check(count: u16) -> Result<()> {
    for number in FIRST..FIRST.saturating_add(count) {
        let path = format!("/proc/self/fd/{number}");
        rustix::fs::statat(rustix::fs::CWD, &path, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).map_err(
            |errno| {
                let operation = format!("stat preserved-fd {} (of {count})", number - FIRST);
                Error::File { operation, path: path.into(), source: errno.into() }
            },
        )?;
    }
    Ok(())
}

/// The specification whose program is told of its sockets.
pub(super) fn announce(mut spec: Spec, sockets: u16) -> Spec {
    if sockets > 0
        && let Some(process) = spec.process_mut()
    {
        let environment = process.env_mut().get_or_insert_default();
        environment.extend([format!("LISTEN_FDS={sockets}"), "LISTEN_PID=1".into()]);
    }
    spec
}
