//! Ports: which are exposed, which are published where.

use std::collections::BTreeMap;

use barge_api::Empty;
use barge_api::containers::{ContainerConfig, HostConfig, PortBinding, PortMap, PortRange};

use crate::error::{Error, Result};
use crate::networks::PortRequest;

/// Checks bindings as they come with a request.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn check(bindings: &PortMap) -> Result<()> {
    for (port, bindings) in bindings {
        one_port(port)?;
        for binding in bindings.iter().flatten() {
            host_ports(binding)?;
            host_ip(binding)?;
        }
    }
    Ok(())
}

fn refuse(text: &str) -> Error {
    Error::invalid(format!("invalid port specification: {text:?}"))
}

fn one_port(text: &str) -> Result<(u16, String)> {
    let range: PortRange = text.parse().map_err(|_| refuse(text))?;
    if range.first == 0 || range.first != range.last {
        return Err(refuse(text));
    }
    Ok((range.first, range.protocol))
}

fn host_ports(binding: &PortBinding) -> Result<Option<(u16, u16)>> {
    let text = binding.host_port.as_str();
    if text.is_empty() || text == "0" {
        return Ok(None);
    }
    let range: PortRange = text.parse().map_err(|_| refuse(text))?;
    if range.first == 0 || text.contains('/') {
        return Err(refuse(text));
    }
    Ok(Some((range.first, range.last)))
}

fn host_ip(binding: &PortBinding) -> Result<Option<std::net::IpAddr>> {
    if binding.host_ip.is_empty() {
        return Ok(None);
    }
    let parsed = binding.host_ip.parse().map(Some);
    parsed.map_err(|_| Error::invalid(format!("invalid IP address: {}", binding.host_ip)))
}

/// Every port a container publishes, in order. With `-P` exposed ports without a binding get a free one.
///
/// # Errors
/// As [`check`].
pub(crate) fn requests(config: &ContainerConfig, host_config: &HostConfig) -> Result<Vec<PortRequest>> {
    let mut requests = Vec::new();
    let mut wanted: BTreeMap<(u16, String), Vec<PortBinding>> = BTreeMap::new();
    for (port, bindings) in &host_config.port_bindings {
        wanted.entry(one_port(port)?).or_default().extend(bindings.iter().flatten().cloned());
    }
    if host_config.publish_all_ports {
        for port in config.exposed_ports.keys() {
            let bindings = wanted.entry(one_port(port)?).or_default();
            if bindings.is_empty() {
                bindings.push(PortBinding::default());
            }
        }
    }
    for ((container_port, protocol), bindings) in wanted {
        for binding in bindings {
            requests.push(PortRequest {
                container_port,
                protocol: protocol.clone(),
                host_ip: host_ip(&binding)?,
                host_ports: host_ports(&binding)?,
            });
        }
    }
    Ok(requests)
}

/// Exposed ports with their protocol written out and ranges taken apart, bound ports among them.
///
/// # Errors
/// Invalid, with Docker's text.
pub(crate) fn expose(config: &mut ContainerConfig, bindings: &PortMap) -> Result<()> {
    let mut exposed = BTreeMap::new();
    for port in config.exposed_ports.keys().chain(bindings.keys()) {
        let range: PortRange = port.parse().map_err(|_| refuse(port))?;
        for number in range.first..=range.last {
            exposed.insert(format!("{number}/{}", range.protocol), Empty);
        }
    }
    config.exposed_ports = exposed;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bindings(port: &str, host_ip: &str, host_port: &str) -> PortMap {
        let binding = PortBinding { host_ip: host_ip.to_owned(), host_port: host_port.to_owned() };
        BTreeMap::from([(port.to_owned(), Some(vec![binding]))])
    }

    #[test]
    fn refusals() {
        let cases = [
            ("0/tcp", "", "", r#"invalid port specification: "0/tcp""#),
            ("x/tcp", "", "", r#"invalid port specification: "x/tcp""#),
            ("80/tcp", "", "70000", r#"invalid port specification: "70000""#),
            ("80/tcp", "", "90-80", r#"invalid port specification: "90-80""#),
            ("80/tcp", "nowhere", "80", "invalid IP address: nowhere"),
        ];
        for (port, ip, host_port, text) in cases {
            assert_eq!(check(&bindings(port, ip, host_port)).unwrap_err().message(), text);
        }
    }

    #[test]
    fn published_ports() {
        let mut config = ContainerConfig::default();
        let mut host_config = HostConfig {
            port_bindings: bindings("80/tcp", "127.0.0.1", "8000-8010"),
            ..HostConfig::default()
        };
        config.exposed_ports.insert("53/udp".to_owned(), Empty);
        expose(&mut config, &host_config.port_bindings).unwrap();
        assert_eq!(config.exposed_ports.keys().collect::<Vec<_>>(), ["53/udp", "80/tcp"]);
        let web = PortRequest {
            container_port: 80,
            protocol: "tcp".to_owned(),
            host_ip: Some("127.0.0.1".parse().unwrap()),
            host_ports: Some((8000, 8010)),
        };
        assert_eq!(requests(&config, &host_config).unwrap(), std::slice::from_ref(&web));
        host_config.publish_all_ports = true;
        let dns =
            PortRequest { container_port: 53, protocol: "udp".to_owned(), host_ip: None, host_ports: None };
        assert_eq!(requests(&config, &host_config).unwrap(), [dns, web]);
    }
}
