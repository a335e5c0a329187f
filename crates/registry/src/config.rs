//! How a [`Client`](crate::Client) is set up, and which registries may be spoken to without TLS.
//!
//! A host is insecure if it is on this machine or if the administrator named it, as `HOST[:PORT]` or as a network.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// Everything a [`Client`](crate::Client) is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// `HOST`, `HOST:PORT` or `NETWORK/BITS`: registries that may be plain http or have an unknown certificate.
    pub insecure: Vec<String>,
    /// For a registry's domain, as in image names, the URLs to ask before it, in this order.
    pub mirrors: BTreeMap<String, Vec<String>>,
    /// Directories with one directory per `HOST[:PORT]` of `*.crt` authorities and `*.cert` + `*.key` client
    /// certificates.
    pub certs_dirs: Vec<PathBuf>,
    /// Layers downloaded at once, over all pulls.
    pub max_concurrent_downloads: usize,
    /// Layers uploaded at once, over all pushes.
    pub max_concurrent_uploads: usize,
    /// What requests say of themselves.
    pub user_agent: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            insecure: Vec::new(),
            mirrors: BTreeMap::new(),
            certs_dirs: vec!["/etc/docker/certs.d".into(), "/etc/barge/certs.d".into()],
            max_concurrent_downloads: 3,
            max_concurrent_uploads: 5,
            user_agent: concat!("barge/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// What the rules say of one host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Security {
    /// https with a certificate that verifies.
    Verified,
    /// The host is this machine: TLS is not needed, but is used as configured if there are certificates for it.
    Loopback,
    /// Named by the administrator: https without verification, then http.
    Insecure,
}

impl Config {
    /// The rules for `host[:port]`; `addresses` are what its name resolves to, as far as the caller knows.
    pub(crate) fn security(&self, authority: &str, addresses: &[IpAddr]) -> Security {
        let (host, _) = split_authority(authority);
        let literal = host.parse::<IpAddr>().ok();
        let named = |rule: &String| {
            if rule.eq_ignore_ascii_case(authority) || rule.eq_ignore_ascii_case(host) {
                return true;
            }
            let Some(network) = parse_network(rule) else { return false };
            literal.iter().chain(addresses).any(|address| contains(network, *address))
        };
        if self.insecure.iter().any(named) {
            return Security::Insecure;
        }
        let loopback = host.eq_ignore_ascii_case("localhost") || literal.is_some_and(|ip| ip.is_loopback());
        if loopback { Security::Loopback } else { Security::Verified }
    }

    /// True if a rule is a network, so that names must be resolved to be judged.
    pub(crate) fn has_networks(&self) -> bool {
        self.insecure.iter().any(|rule| parse_network(rule).is_some())
    }
}

/// Splits `host[:port]`, taking the brackets off an IPv6 address.
pub(crate) fn split_authority(authority: &str) -> (&str, Option<u16>) {
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']').unwrap_or((rest, ""));
        return (host, port.strip_prefix(':').and_then(|port| port.parse().ok()));
    }
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') => (host, port.parse().ok()),
        _ => (authority, None),
    }
}

fn parse_network(rule: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = rule.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits: u8 = bits.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (bits <= longest).then_some((address, bits))
}

fn contains((network, bits): (IpAddr, u8), address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let differ = u32::from(network) ^ u32::from(address);
            differ.checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let differ = u128::from(network) ^ u128::from(address);
            differ.checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn security_follows_names_networks_and_loopback() {
        let config = Config {
            insecure: ["plain.example", "ported.example:5000", "10.1.0.0/16", "fd00::/8", "0.0.0.0/99"]
                .map(str::to_owned)
                .to_vec(),
            ..Config::default()
        };
        let resolved: &[IpAddr] = &["10.1.2.3".parse().unwrap()];
        let table: &[(&str, &[IpAddr], Security)] = &[
            ("plain.example", &[], Security::Insecure),
            ("plain.example:443", &[], Security::Insecure),
            ("Ported.Example:5000", &[], Security::Insecure),
            ("ported.example", &[], Security::Verified),
            ("10.1.255.1:5000", &[], Security::Insecure),
            ("10.2.0.1:5000", &[], Security::Verified),
            ("[fd12::1]:5000", &[], Security::Insecure),
            ("name.example", resolved, Security::Insecure),
            ("name.example", &[], Security::Verified),
            ("127.0.0.1:5000", &[], Security::Loopback),
            ("127.9.9.9", &[], Security::Loopback),
            ("localhost:5000", &[], Security::Loopback),
            ("[::1]:5000", &[], Security::Loopback),
            ("localhost.example", &[], Security::Verified),
        ];
        for (authority, addresses, expected) in table {
            assert_eq!(config.security(authority, addresses), *expected, "{authority}");
        }
    }

    #[test]
    fn authorities_split() {
        assert_eq!(split_authority("a.b:5000"), ("a.b", Some(5000)));
        assert_eq!(split_authority("a.b"), ("a.b", None));
        assert_eq!(split_authority("[::1]:80"), ("::1", Some(80)));
        assert_eq!(split_authority("[::1]"), ("::1", None));
        assert_eq!(split_authority("::1"), ("::1", None));
    }
}
