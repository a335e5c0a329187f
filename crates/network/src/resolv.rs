//! The text of a container's /etc/resolv.conf, made from the host's and the user's wishes. Pure.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

/// Where the host's resolver configuration is.
pub const HOST_FILE: &str = "/etc/resolv.conf";

/// Where systemd-resolved keeps the real name servers when it has put its own stub, which
/// listens on the host's loopback only, into [`HOST_FILE`].
pub const RESOLVED_FILE: &str = "/run/systemd/resolve/resolv.conf";

/// Name servers of a container whose host has none that it could reach, as Docker's.
pub const FALLBACK: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)), IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4))];

/// What a resolver is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolv {
    pub nameservers: Vec<IpAddr>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

/// `--dns`, `--dns-search` and `--dns-opt`; empty lists leave the host's values.
pub type Overrides = Resolv;

impl Resolv {
    /// Reads a resolv.conf(5). What it does not know it leaves out; as in the C library the
    /// last `search` or `domain` line counts.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => found.nameservers.extend(words.next().and_then(nameserver)),
                Some("search" | "domain") => found.search = words.map(str::to_owned).collect(),
                Some("options") => found.options.extend(words.map(str::to_owned)),
                _ => {}
            }
        }
        found
    }

    /// Whether the only name server is systemd-resolved's stub: [`RESOLVED_FILE`] has the real ones.
    #[must_use]
    pub fn is_resolved_stub(&self) -> bool {
        !self.nameservers.is_empty() && self.nameservers.iter().all(|ip| ip.to_string() == "127.0.0.53")
    }

    /// What a container on a network of its own uses: the host's name servers that listen on
    /// the host's loopback, or on one of its links only, mean something else in there. Where
    /// none is left the container gets Docker's [`FALLBACK`].
    #[must_use]
    pub fn for_container(&self, overrides: &Overrides) -> Self {
        let reachable =
            || self.nameservers.iter().copied().filter(|ip| !ip.is_loopback() && !is_link_local(ip));
        let chosen = |own: &[String], host: &[String]| if own.is_empty() { host } else { own }.to_vec();
        let mut search = chosen(&overrides.search, &self.search);
        // `--dns-search .` asks for no search domain at all.
        search.retain(|domain| domain != ".");
        let nameservers = if overrides.nameservers.is_empty() {
            Some(reachable().collect::<Vec<_>>()).filter(|left| !left.is_empty()).unwrap_or(FALLBACK.to_vec())
        } else {
            overrides.nameservers.clone()
        };
        Self { nameservers, search, options: chosen(&overrides.options, &self.options) }
    }

    /// The file's content.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for nameserver in &self.nameservers {
            // Writing to a String can't fail.
            let _ = writeln!(text, "nameserver {nameserver}");
        }
        for (key, values) in [("search", &self.search), ("options", &self.options)] {
            if !values.is_empty() {
                let _ = writeln!(text, "{key} {}", values.join(" "));
            }
        }
        text
    }
}

/// An address, without the link that an IPv6 one may name (`fe80::1%eth0`).
fn nameserver(word: &str) -> Option<IpAddr> {
    word.split('%').next()?.parse().ok()
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "# made by hand\n\
        nameserver 127.0.0.1\n\
        nameserver 192.0.2.53 # near\n\
        nameserver fe80::1%eth0\n\
        nameserver 2001:db8::53\n\
        domain old.example\n\
        search a.example b.example\n\
        options ndots:2\n\
        options rotate\n\
        sortlist 10.0.0.0\n";

    #[test]
    fn loopback_and_link_local_name_servers_are_left_out() {
        let found = Resolv::parse(HOST).for_container(&Overrides::default()).render();
        assert_eq!(
            found,
            "nameserver 192.0.2.53\nnameserver 2001:db8::53\nsearch a.example b.example\noptions ndots:2 rotate\n"
        );
    }

    #[test]
    fn a_host_with_a_resolver_of_its_own_only() {
        let found = Resolv::parse("nameserver ::1\n").for_container(&Overrides::default());
        assert_eq!(found.nameservers, FALLBACK);
    }

    #[test]
    fn the_users_wishes_replace_the_hosts_values_one_by_one() {
        let wishes = Overrides {
            nameservers: vec!["127.0.0.1".parse().expect("ip")],
            search: vec![".".to_owned()],
            options: vec![],
        };
        let found = Resolv::parse(HOST).for_container(&wishes).render();
        assert_eq!(found, "nameserver 127.0.0.1\noptions ndots:2 rotate\n");
    }

    #[test]
    fn the_stub_of_systemd_resolved_is_recognised() {
        for (text, expected) in [
            ("nameserver 127.0.0.53\noptions edns0\n", true),
            ("nameserver 127.0.0.53\nnameserver 192.0.2.1\n", false),
            ("nameserver 127.0.0.1\n", false),
            ("", false),
        ] {
            assert_eq!(Resolv::parse(text).is_resolved_stub(), expected, "{text}");
        }
    }
}
