//! Which address an endpoint gets, and which subnet a network gets. Pure; the pools live in
//! the engine's memory and are refilled from the endpoints that live.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use crate::error::{Error, Result};

mod subnets;

pub use subnets::{SubnetPool, choose_subnet, default_subnet_pools};

/// The addresses of one network.
#[derive(Clone, Debug)]
pub struct Pool {
    subnet: Ipv4Net,
    /// Addresses that are handed out unasked; a wanted one may be anywhere in the subnet.
    range: Ipv4Net,
    gateway: Ipv4Addr,
    used: BTreeSet<Ipv4Addr>,
    /// Where the next search begins: behind the last address handed out, so that one that
    /// was just given back is not used again at once, while neighbours remember its owner.
    next: u32,
}

impl Pool {
    /// All addresses of `subnet` but its network, broadcast and gateway addresses.
    #[must_use]
    pub fn new(subnet: Ipv4Net, gateway: Ipv4Addr) -> Self {
        Self::with_range(subnet, subnet, gateway)
    }

    /// Like [`Pool::new`], but unasked addresses are taken from `range` only.
    #[must_use]
    pub fn with_range(subnet: Ipv4Net, range: Ipv4Net, gateway: Ipv4Addr) -> Self {
        let (subnet, range) = (subnet.trunc(), range.trunc());
        Self { subnet, range, gateway, used: BTreeSet::new(), next: range.network().into() }
    }

    /// Takes an address: the preferred one or, if none is named, the next free one.
    pub fn allocate(&mut self, preferred: Option<Ipv4Addr>) -> Result<Ipv4Addr> {
        let address = match preferred {
            Some(address) => self.wanted(address)?,
            None => self.next_free().ok_or(Error::PoolExhausted { subnet: self.subnet })?,
        };
        self.used.insert(address);
        Ok(address)
    }

    /// Gives an address back. One that is not taken is no error.
    pub fn release(&mut self, address: Ipv4Addr) {
        self.used.remove(&address);
    }

    /// How many addresses are taken.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.used.len()
    }

    fn wanted(&self, address: Ipv4Addr) -> Result<Ipv4Addr> {
        if !self.subnet.contains(&address) || self.reserved(address) {
            return Err(Error::AddressUnusable { address, subnet: self.subnet });
        }
        if self.used.contains(&address) { Err(Error::AddressTaken { address }) } else { Ok(address) }
    }

    fn next_free(&mut self) -> Option<Ipv4Addr> {
        let (first, last) = (u32::from(self.range.network()), u32::from(self.range.broadcast()));
        let start = self.next.clamp(first, last);
        let free = |number: &u32| {
            let address = Ipv4Addr::from(*number);
            !self.reserved(address) && !self.used.contains(&address)
        };
        let found = (start..=last).chain(first..start).find(free)?;
        self.next = if found == last { first } else { found + 1 };
        Some(found.into())
    }

    /// Addresses that no endpoint may have. A /31 or /32 has no network and broadcast address.
    fn reserved(&self, address: Ipv4Addr) -> bool {
        let edges = self.subnet.prefix_len() < 31
            && (address == self.subnet.network() || address == self.subnet.broadcast());
        edges || address == self.gateway
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().expect("an address")
    }

    fn net(text: &str) -> Ipv4Net {
        text.parse().expect("a subnet")
    }

    #[test]
    fn addresses_are_not_used_again_at_once() {
        let mut pool = Pool::new(net("10.0.0.0/29"), ip("10.0.0.1"));
        assert_eq!(pool.allocate(None).expect("free"), ip("10.0.0.2"));
        pool.release(ip("10.0.0.2"));
        for last in 3..=6 {
            assert_eq!(pool.allocate(None).expect("free"), Ipv4Addr::new(10, 0, 0, last));
        }
        assert_eq!(pool.allocate(None).expect("wraps around"), ip("10.0.0.2"));
        assert!(matches!(pool.allocate(None), Err(Error::PoolExhausted { .. })));
        assert_eq!(pool.in_use(), 5);
    }

    #[test]
    fn wanted_addresses() {
        let mut pool = Pool::new(net("10.0.0.0/24"), ip("10.0.0.1"));
        assert_eq!(pool.allocate(Some(ip("10.0.0.2"))).expect("free"), ip("10.0.0.2"));
        assert_eq!(pool.allocate(None).expect("free"), ip("10.0.0.3"));
        assert!(matches!(pool.allocate(Some(ip("10.0.0.2"))), Err(Error::AddressTaken { .. })));
        for unusable in ["10.0.0.0", "10.0.0.1", "10.0.0.255", "10.0.1.7"] {
            let found = pool.allocate(Some(ip(unusable)));
            assert!(matches!(found, Err(Error::AddressUnusable { .. })), "{unusable}");
        }
    }

    #[test]
    fn a_range_limits_only_unasked_addresses() {
        let mut pool = Pool::with_range(net("10.0.0.0/24"), net("10.0.0.8/30"), ip("10.0.0.1"));
        let taken: Vec<_> = std::iter::from_fn(|| pool.allocate(None).ok()).collect();
        assert_eq!(taken, [ip("10.0.0.8"), ip("10.0.0.9"), ip("10.0.0.10"), ip("10.0.0.11")]);
        assert!(pool.allocate(Some(ip("10.0.0.77"))).is_ok());
    }

    #[test]
    fn the_edge_of_the_address_space_and_tiny_subnets() {
        let mut top = Pool::new(net("255.255.255.252/30"), ip("255.255.255.253"));
        assert_eq!(top.allocate(None).expect("free"), ip("255.255.255.254"));
        assert!(top.allocate(None).is_err());
        let mut pair = Pool::new(net("10.0.0.0/31"), ip("10.0.0.0"));
        assert_eq!(pair.allocate(None).expect("free"), ip("10.0.0.1"));
    }
}
