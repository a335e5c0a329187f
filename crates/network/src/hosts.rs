//! The text of a container's /etc/hosts. Pure.

use std::fmt::Write;
use std::net::IpAddr;

/// Lines that every container has: Docker's, in Docker's order.
const LOOPBACK: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// What a container's hosts file says beside the loopback lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts {
    /// `--add-host` and links: an address and its names, in the order given.
    pub extra: Vec<(IpAddr, String)>,
    /// The container's own addresses, one per network.
    pub own: Vec<IpAddr>,
    pub hostname: String,
    /// The host name's domain, if it has one.
    pub domain: Option<String>,
}

impl Hosts {
    /// The file's content.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = LOOPBACK.to_owned();
        for (address, names) in &self.extra {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{address}\t{names}");
        }
        let names = match &self.domain {
            Some(domain) if !domain.is_empty() => format!("{0}.{domain} {0}", self.hostname),
            _ => self.hostname.clone(),
        };
        for address in &self.own {
            let _ = writeln!(text, "{address}\t{names}");
        }
        text
    }
}

/// `--add-host NAME:ADDRESS` (or `NAME=ADDRESS`) can't be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExtraHostError {
    #[error("bad format for add-host: {0:?}")]
    Format(String),
    #[error("invalid IP address in add-host: {0:?}")]
    Address(String),
    #[error("unable to derive the IP value for host-gateway")]
    NoGateway,
}

/// Reads one `--add-host`; the word `host-gateway` stands for `gateway`.
pub fn parse_extra_host(text: &str, gateway: Option<IpAddr>) -> Result<(IpAddr, String), ExtraHostError> {
    let divided =
        text.split_once(['=', ':']).filter(|(name, address)| !name.is_empty() && !address.is_empty());
    let Some((name, address)) = divided else { return Err(ExtraHostError::Format(text.to_owned())) };
    if address == "host-gateway" {
        return gateway.map(|ip| (ip, name.to_owned())).ok_or(ExtraHostError::NoGateway);
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    let ip = bare.parse().map_err(|_| ExtraHostError::Address(address.to_owned()))?;
    Ok((ip, name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_and_extra_lines_follow_the_loopback_lines() {
        let hosts = Hosts {
            extra: vec![("10.1.2.3".parse().expect("ip"), "db database".to_owned())],
            own: vec!["172.17.0.2".parse().expect("ip")],
            hostname: "web".to_owned(),
            domain: None,
        };
        let text = hosts.render();
        assert_eq!(text.strip_prefix(LOOPBACK), Some("10.1.2.3\tdb database\n172.17.0.2\tweb\n"));
        let named = Hosts { domain: Some("example.org".to_owned()), ..hosts };
        assert!(named.render().ends_with("172.17.0.2\tweb.example.org web\n"));
        assert_eq!(Hosts::default().render(), LOOPBACK);
    }

    #[test]
    fn extra_hosts() {
        let gateway = Some("172.17.0.1".parse().expect("ip"));
        let cases = [
            ("db:10.1.2.3", Ok(("10.1.2.3", "db"))),
            ("db=10.1.2.3", Ok(("10.1.2.3", "db"))),
            ("v6:2001:db8::1", Ok(("2001:db8::1", "v6"))),
            ("v6=[2001:db8::1]", Ok(("2001:db8::1", "v6"))),
            ("host:host-gateway", Ok(("172.17.0.1", "host"))),
            ("db", Err(ExtraHostError::Format("db".to_owned()))),
            (":10.1.2.3", Err(ExtraHostError::Format(":10.1.2.3".to_owned()))),
            ("db:nowhere", Err(ExtraHostError::Address("nowhere".to_owned()))),
        ];
        for (text, expected) in cases {
            let expected = expected.map(|(ip, name)| (ip.parse().expect("ip"), name.to_owned()));
            assert_eq!(parse_extra_host(text, gateway), expected, "{text}");
        }
        assert_eq!(parse_extra_host("h:host-gateway", None), Err(ExtraHostError::NoGateway));
    }
}
