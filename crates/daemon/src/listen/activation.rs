//! Sockets that systemd opened and passed to us: `LISTEN_FDS`, `LISTEN_FDNAMES`, as sd_listen_fds(3) describes.
//!
//! They are duplicated through a pidfd of our own, which is the safe way from a number to a descriptor. The originals
//! stay open for as long as the process lives, as they would anyway: a socket unit keeps listening.

use std::os::fd::{OwnedFd, RawFd};

use rustix::process::{PidfdFlags, PidfdGetfdFlags};

use crate::error::{Error, Result};

/// The first passed descriptor.
const FIRST: RawFd = 3;

/// All passed sockets, or only the one of this name or number.
pub(super) fn sockets(wanted: Option<&str>) -> Result<Vec<OwnedFd>> {
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let own_pid = std::process::id().to_string();
    let pid = variable("LISTEN_PID");
    let count =
        if pid.is_empty() || pid == own_pid { variable("LISTEN_FDS").parse().unwrap_or(0) } else { 0 };
    let numbers = choose(count, &variable("LISTEN_FDNAMES"), wanted);
    if numbers.is_empty() {
        return Err(Error::NoActivatedSockets);
    }
    let failed =
        |error: rustix::io::Errno| Error::Listen { address: "fd://".to_owned(), source: error.into() };
    let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).map_err(failed)?;
    numbers
        .into_iter()
        .map(|number| rustix::process::pidfd_getfd(&own, number, PidfdGetfdFlags::empty()).map_err(failed))
        .collect()
}

fn choose(count: RawFd, names: &str, wanted: Option<&str>) -> Vec<RawFd> {
    let names: Vec<&str> = names.split(':').collect();
    let named =
        |number: RawFd| usize::try_from(number - FIRST).ok().and_then(|index| names.get(index).copied());
    (FIRST..FIRST.saturating_add(count))
        .filter(|number| {
            wanted.is_none_or(|wanted| number.to_string() == wanted || named(*number) == Some(wanted))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn sockets_are_chosen_by_number_or_name() {
        assert_eq!(choose(2, "", None), [3, 4]);
        assert_eq!(choose(2, "api:metrics", Some("metrics")), [4]);
        assert_eq!(choose(2, "api:metrics", Some("3")), [3]);
        assert_eq!(choose(2, "api", Some("5")), [0; 0]);
        assert_eq!(choose(0, "", None), [0; 0]);
    }
}
