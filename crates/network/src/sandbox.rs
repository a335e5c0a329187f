//! A sandbox: the network namespace that a container's processes live in.

use std::os::fd::OwnedFd;

use barge_sys::netns;

use crate::error::{Error, Result};
use crate::route::RouteSocket;
use crate::sysctl;

/// Creates a network namespace with its loopback up. It ends with its last descriptor,
/// process and socket; nothing is mounted anywhere.
pub fn create() -> Result<OwnedFd> {
    let (netns, prepared) = netns::create_with(prepare).map_err(|source| Error::SandboxCreate { source })?;
    prepared?;
    Ok(netns)
}

/// Later interfaces get no IPv6 link-local address: these networks are IPv4 only, and such an
/// address would be a way between containers that no rule watches. `lo` keeps its `::1`.
fn prepare() -> Result<()> {
    RouteSocket::open()
        .and_then(|mut socket| socket.loopback_up())
        .map_err(|source| Error::LoopbackUp { source })?;
    sysctl::write("net/ipv6/conf/default/disable_ipv6", "1").or_else(sysctl::absent_is_fine)
}
