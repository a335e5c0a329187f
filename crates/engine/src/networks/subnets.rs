//! Which subnet a new network gets: one that collides with nothing this host can reach.

use std::net::IpAddr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

use barge_network::Bridges;
use barge_network::ipam::{self, SubnetPool};
use barge_network::resolv::{self, Resolv};
use ipnet::Ipv4Net;

use crate::config::Config;
use crate::error::{Error, Result};

/// The pools of the configuration, or Docker's.
pub(super) fn pools(config: &Config) -> Vec<SubnetPool> {
    if config.address_pools.is_empty() {
        return ipam::default_subnet_pools();
    }
    config.address_pools.iter().map(|pool| SubnetPool { base: pool.base, size: pool.size }).collect()
}

/// A free subnet. `others` are those of networks whose bridges may not be up.
pub(super) fn choose(pools: &[SubnetPool], others: &[Ipv4Net]) -> Result<Ipv4Net> {
    let mut taken = host_routes()?;
    taken.extend_from_slice(others);
    ipam::choose_subnet(pools, &taken).map_err(|error| Error::system(error.to_string()))
}

/// Whether the host reaches a part of the subnet by a route of its own.
pub(super) fn clashes(subnet: Ipv4Net) -> Result<bool> {
    Ok(host_routes()?.iter().any(|route| overlap(*route, subnet)))
}

pub(super) fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other.network()) || other.contains(&one.network())
}

/// Where the host's routes lead, and its name servers: they are reached by the default route, mostly, and a subnet
/// over them would cut them off.
fn host_routes() -> Result<Vec<Ipv4Net>> {
    let mut routes = Bridges::host_routes().map_err(|error| Error::system(error.to_string()))?;
    let text = std::fs::read_to_string(resolv::HOST_FILE).unwrap_or_default();
    routes.extend(Resolv::parse(&text).nameservers.into_iter().filter_map(|address| match address {
        IpAddr::V4(address) => Some(Ipv4Net::from(address)),
        IpAddr::V6(_) => None,
    }));
    Ok(routes)
}

/// Keeps other engines on this host from choosing the same subnet: hold it from the choice until the bridge is up
/// and has a route. An abstract socket name lives in the network namespace, as routes do, and goes with its owner.
pub(super) struct Choosing {
    _name: Option<UnixListener>,
}

impl Choosing {
    /// Waits its turn, but not for ever: whoever sits on the name must not keep an engine from starting.
    pub(super) fn begin() -> Self {
        const PATIENCE: Duration = Duration::from_secs(2);
        let Ok(address) = SocketAddr::from_abstract_name("barge/choosing-a-subnet") else {
            return Self { _name: None };
        };
        let start = Instant::now();
        loop {
            match UnixListener::bind_addr(&address) {
                Ok(name) => return Self { _name: Some(name) },
                Err(_) if start.elapsed() < PATIENCE => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => {
                    tracing::warn!(%error, "another engine takes long to choose a subnet");
                    return Self { _name: None };
                }
            }
        }
    }
}
