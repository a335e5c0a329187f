//! Ports: exposed, bound and listed.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::Error;
use crate::wire::{Empty, is_default, wire};

/// Exposed ports, keyed `PORT/PROTO`.
pub type PortSet = BTreeMap<String, Empty>;

/// Bindings by `PORT/PROTO`; `None` is exposed but not published.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

wire! {
    /// One place on the host that leads to a container's port.
    pub struct PortBinding {
        /// Empty is every address.
        pub host_ip: String,
        /// A port, a range to choose from, or empty for any free one.
        pub host_port: String,
    }

    /// One line of a container's ports in a list.
    pub struct PortSummary {
        #[serde(rename = "IP", skip_serializing_if = "is_default")]
        pub ip: String,
        pub private_port: u16,
        #[serde(skip_serializing_if = "is_default")]
        pub public_port: u16,
        #[serde(rename = "Type")]
        pub protocol: String,
    }
}

/// `PORT[-PORT][/PROTO]`: one port or an ascending range, `tcp` if nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

impl FromStr for PortRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Port { text: text.to_owned() };
        let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let protocol = protocol.to_ascii_lowercase();
        if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
            return Err(refuse());
        }
        let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if plain { digits.parse().map_err(|_| refuse()) } else { Err(refuse()) }
        };
        let range = Self { first: number(first)?, last: number(last)?, protocol };
        if range.first > range.last { Err(refuse()) } else { Ok(range) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_ranges() {
        let cases = [
            ("80", Some((80, 80, "tcp"))),
            ("53/UDP", Some((53, 53, "udp"))),
            ("8000-8010/sctp", Some((8000, 8010, "sctp"))),
            ("0", Some((0, 0, "tcp"))),
            ("", None),
            ("/tcp", None),
            ("80-", None),
            ("90-80", None),
            ("65536", None),
            ("+80", None),
            ("80/icmp", None),
        ];
        for (text, expected) in cases {
            let found = text.parse::<PortRange>().ok();
            let expected = expected.map(|(first, last, protocol)| PortRange {
                first,
                last,
                protocol: protocol.to_owned(),
            });
            assert_eq!(found, expected, "{text}");
        }
    }
}
