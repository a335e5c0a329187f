//! `-p [[IP:]HOSTPORT:]PORT[/PROTO]`, each port a range if need be, and `--expose PORT[-PORT][/PROTO]`.

use std::net::IpAddr;

use barge_api::Empty;
use barge_api::containers::{PortBinding, PortMap, PortRange, PortSet};

/// Reads all `-p` and `--expose` flags into what is exposed and what is bound.
pub(crate) fn parse(publish: &[String], expose: &[String]) -> Result<(PortSet, PortMap), String> {
    let (mut exposed, mut bound) = (PortSet::new(), PortMap::new());
    for text in publish {
        let text = standard_notation(text)?;
        for (port, binding) in parse_one(&text)? {
            exposed.insert(port.clone(), Empty);
            bound.entry(port).or_default().get_or_insert_default().push(binding);
        }
    }
    for text in expose {
        if text.contains(':') {
            return Err(format!("invalid port format for --expose: {text}"));
        }
        let range: PortRange = text
            .parse()
            .map_err(|_| format!("invalid range format for --expose: {text}, error: invalid port"))?;
        for port in range.first..=range.last {
            exposed.insert(format!("{port}/{}", range.protocol), Empty);
        }
    }
    Ok((exposed, bound))
}

/// Turns `published=8080,target=80,protocol=udp` into `8080:80/udp`.
fn standard_notation(text: &str) -> Result<String, String> {
    if !text.contains('=') {
        return Ok(text.to_owned());
    }
    let (mut published, mut target, mut protocol) = ("", "", "tcp");
    for pair in text.split(',') {
        match pair.split_once('=') {
            Some(("published", value)) => published = value,
            Some(("target", value)) => target = value,
            Some(("protocol", value)) => protocol = value,
            Some((key, _)) if !key.is_empty() => {}
            _ => return Err(format!("invalid publish opts format (should be name=value but got '{pair}')")),
        }
    }
    Ok(format!("{published}:{target}/{protocol}"))
}

fn parse_one(text: &str) -> Result<Vec<(String, PortBinding)>, String> {
    let (ports, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let (ip, host, container) = split(ports);
    let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    if !ip.is_empty() && ip.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address: {ip}"));
    }
    if container.is_empty() {
        return Err(format!("no port specified: {text}<empty>"));
    }
    if !matches!(protocol.to_ascii_lowercase().as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("invalid proto: {protocol}"));
    }
    let range = |what: &str, part: &str| {
        format!("{part}/{protocol}").parse::<PortRange>().map_err(|_| format!("invalid {what}: {part}"))
    };
    let container_range = range("containerPort", container)?;
    let host_range = if host.is_empty() { None } else { Some(range("hostPort", host)?) };
    let width = container_range.last - container_range.first;
    if let Some(hosts) = &host_range {
        // One container port may choose from several host ports; several need as many.
        if hosts.last - hosts.first != width && width != 0 {
            return Err(format!(
                "invalid ranges specified for container and host Ports: {container} and {host}"
            ));
        }
    }
    let bindings = (0..=width).map(|offset| {
        let host_port = match &host_range {
            None => String::new(),
            Some(hosts) if width == 0 && hosts.first != hosts.last => {
                format!("{}-{}", hosts.first, hosts.last)
            }
            Some(hosts) => (hosts.first + offset).to_string(),
        };
        let port = format!("{}/{}", container_range.first + offset, container_range.protocol);
        (port, PortBinding { host_ip: ip.to_owned(), host_port })
    });
    Ok(bindings.collect())
}

/// Splits at the last two colons; what is before is the address, colons and all.
fn split(text: &str) -> (&str, &str, &str) {
    match text.rsplit_once(':') {
        None => ("", "", text),
        Some((before, container)) => match before.rsplit_once(':') {
            None => ("", before, container),
            Some((ip, host)) => (ip, host, container),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Result<Vec<String>, String> {
        let (_, bound) = parse(&[text.to_owned()], &[])?;
        Ok(bound
            .iter()
            .flat_map(|(port, bindings)| {
                bindings
                    .iter()
                    .flatten()
                    .map(move |binding| format!("{}|{}->{port}", binding.host_ip, binding.host_port))
            })
            .collect())
    }

    #[test]
    fn published_ports() {
        let cases: [(&str, &[&str]); 10] = [
            ("80", &["|->80/tcp"]),
            ("8080:80", &["|8080->80/tcp"]),
            ("53:53/udp", &["|53->53/udp"]),
            ("127.0.0.1:8080:80", &["127.0.0.1|8080->80/tcp"]),
            ("127.0.0.1::80", &["127.0.0.1|->80/tcp"]),
            ("[::1]:8080:80", &["::1|8080->80/tcp"]),
            ("::1:8080:80", &["::1|8080->80/tcp"]),
            ("8000-8001:80-81", &["|8000->80/tcp", "|8001->81/tcp"]),
            ("8000-8009:80", &["|8000-8009->80/tcp"]),
            ("published=8080,target=80,protocol=udp", &["|8080->80/udp"]),
        ];
        for (text, expected) in cases {
            assert_eq!(one(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn refused_ports() {
        for text in ["", "a", "80:", "70000:80", "1.2.3:80:80", "8000-8002:80-81", "80/icmp", "90-80"] {
            assert!(one(text).is_err(), "{text}");
        }
    }

    #[test]
    fn exposed_ports_are_not_bound() {
        let (exposed, bound) = parse(&[], &["7000-7002/udp".to_owned()]).unwrap();
        assert_eq!(exposed.keys().collect::<Vec<_>>(), ["7000/udp", "7001/udp", "7002/udp"]);
        assert!(bound.is_empty());
        assert!(parse(&[], &["80:80".to_owned()]).is_err());
    }
}
