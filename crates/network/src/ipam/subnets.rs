//! Choosing a subnet that collides with nothing the host reaches. Pure.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::error::{Error, Result};

/// A block that is cut into subnets of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubnetPool {
    pub base: Ipv4Net,
    /// Prefix length of each subnet, at least the base's.
    pub size: u8,
}

/// Docker's pools: 172.17.0.0/16 to 172.31.0.0/16, then 192.168.0.0/16 in pieces of 4,096.
#[must_use]
pub fn default_subnet_pools() -> Vec<SubnetPool> {
    let pool = |octets: [u8; 4], prefix, size| SubnetPool {
        base: Ipv4Net::new_assert(Ipv4Addr::from(octets), prefix),
        size,
    };
    vec![
        pool([172, 17, 0, 0], 16, 16),
        pool([172, 18, 0, 0], 16, 16),
        pool([172, 19, 0, 0], 16, 16),
        pool([172, 20, 0, 0], 14, 16),
        pool([172, 24, 0, 0], 14, 16),
        pool([172, 28, 0, 0], 14, 16),
        pool([192, 168, 0, 0], 16, 20),
    ]
}

/// The first subnet of the pools that overlaps with none of `taken` (routes, nameservers,
/// other networks).
pub fn choose_subnet(pools: &[SubnetPool], taken: &[Ipv4Net]) -> Result<Ipv4Net> {
    let overlaps = |subnet: &Ipv4Net| {
        taken.iter().any(|other| other.contains(&subnet.network()) || subnet.contains(&other.network()))
    };
    pools
        .iter()
        .filter_map(|pool| pool.base.trunc().subnets(pool.size).ok())
        .flatten()
        .find(|subnet| !overlaps(subnet))
        .ok_or(Error::SubnetsExhausted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_subnet_that_nobody_uses() {
        let cases: [(&[&str], &str); 6] = [
            (&[], "172.17.0.0/16"),
            (&["172.17.0.0/16"], "172.18.0.0/16"),
            (&["172.17.5.0/24", "192.0.2.0/24"], "172.18.0.0/16"),
            (&["172.16.0.0/12"], "192.168.0.0/20"),
            (&["172.16.0.0/12", "192.168.3.7/32"], "192.168.16.0/20"),
            (&["172.17.0.0/16", "172.18.0.0/15", "172.20.0.0/16"], "172.21.0.0/16"),
        ];
        for (taken, expected) in cases {
            let taken: Vec<Ipv4Net> = taken.iter().map(|text| text.parse().expect("a subnet")).collect();
            let found = choose_subnet(&default_subnet_pools(), &taken).expect("one is free");
            assert_eq!(found.to_string(), expected, "{taken:?}");
        }
    }

    #[test]
    fn nothing_left() {
        let taken = ["172.16.0.0/12", "192.168.0.0/16"].map(|text| text.parse().expect("a subnet"));
        let found = choose_subnet(&default_subnet_pools(), &taken);
        assert!(matches!(found, Err(Error::SubnetsExhausted)));
    }
}
