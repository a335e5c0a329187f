//! `--network` and its companions, into the endpoints of a create request.

use std::collections::BTreeMap;

use barge_api::containers::NetworkingConfig;
use barge_api::networks::{EndpointIpamConfig, EndpointSettings};

use super::flags::NetworkFlags;
use crate::flags::attachment::Attachment;

/// What the flags say about networks.
#[derive(Debug)]
pub(super) struct Networks {
    /// For the host configuration.
    pub(super) mode: String,
    pub(super) endpoints: NetworkingConfig,
    /// Of the main network, for engines that only know one for the whole container.
    pub(super) mac_address: String,
}

/// Reads all network flags.
pub(super) fn parse(flags: &NetworkFlags) -> Result<Networks, String> {
    let mut wanted: Vec<Attachment> = flags.network.0.iter().chain(&flags.net.0).cloned().collect();
    let is_default = wanted.is_empty();
    if is_default {
        wanted.push(Attachment { target: "default".to_owned(), ..Attachment::default() });
    }
    let mode = wanted[0].target.clone();
    apply_container_flags(&mut wanted[0], flags)?;
    let user_defined = wanted.iter().filter(|network| is_user_defined(&network.target)).count();
    let single = wanted.len() == 1;
    let mut endpoints = BTreeMap::new();
    let mut mac_address = String::new();
    for (at, network) in wanted.iter().enumerate() {
        let settings = endpoint(network)?;
        if at == 0 {
            settings.mac_address.clone_into(&mut mac_address);
        }
        if endpoints.contains_key(&network.target) {
            return Err(format!("network {:?} is specified multiple times", network.target));
        }
        // Older engines choke on an endpoint nobody said anything about.
        if single && !is_default && settings == EndpointSettings::default() {
            continue;
        }
        endpoints.insert(network.target.clone(), Some(settings));
    }
    if user_defined > 0 && user_defined < wanted.len() {
        return Err(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
                .to_owned(),
        );
    }
    Ok(Networks { mode, endpoints: NetworkingConfig { endpoints_config: endpoints }, mac_address })
}

/// Networks with a meaning of their own cannot have aliases.
fn is_user_defined(target: &str) -> bool {
    !matches!(target, "default" | "bridge" | "host" | "none") && !target.starts_with("container:")
}

/// The flags from before `--network` took options mean the first network.
fn apply_container_flags(network: &mut Attachment, flags: &NetworkFlags) -> Result<(), String> {
    let both = |flag: &str, option: &str| {
        Err(format!("conflicting options: cannot specify both --{flag} and per-network {option}"))
    };
    let aliases: Vec<String> = flags.network_alias.iter().chain(&flags.net_alias).cloned().collect();
    if !aliases.is_empty() {
        if !network.aliases.is_empty() {
            return both("network-alias", "alias");
        }
        network.aliases = aliases;
    }
    let singles = [
        (&flags.ip, &mut network.ipv4, "ip", "IPv4 address"),
        (&flags.ip6, &mut network.ipv6, "ip6", "IPv6 address"),
        (&flags.mac_address, &mut network.mac, "mac-address", "MAC address"),
    ];
    for (given, field, flag, option) in singles {
        if !given.is_empty() {
            if !field.is_empty() {
                return both(flag, option);
            }
            given.clone_into(field);
        }
    }
    if !flags.link_local_ip.is_empty() {
        if !network.link_local.is_empty() {
            return both("link-local-ip", "link-local IP addresses");
        }
        network.link_local.clone_from(&flags.link_local_ip);
    }
    if is_user_defined(&network.target) {
        network.links.clone_from(&flags.link.0);
    }
    Ok(())
}

fn endpoint(network: &Attachment) -> Result<EndpointSettings, String> {
    if network.target.trim().is_empty() {
        return Err("no name set for network".to_owned());
    }
    if !is_user_defined(&network.target) && !network.aliases.is_empty() {
        return Err("network-scoped aliases are only supported for user-defined networks".to_owned());
    }
    check_mac(&network.mac)?;
    let has_address = !network.ipv4.is_empty() || !network.ipv6.is_empty() || !network.link_local.is_empty();
    Ok(EndpointSettings {
        ipam_config: has_address.then(|| EndpointIpamConfig {
            ipv4_address: network.ipv4.clone(),
            ipv6_address: network.ipv6.clone(),
            link_local_ips: network.link_local.clone(),
        }),
        links: network.links.clone(),
        aliases: network.aliases.clone(),
        mac_address: network.mac.clone(),
        driver_opts: network.driver_opts.clone(),
        gw_priority: network.gw_priority,
        ..EndpointSettings::default()
    })
}

fn check_mac(mac: &str) -> Result<(), String> {
    let groups: Vec<&str> = mac.trim().split([':', '-']).collect();
    let hex = |group: &&str| group.len() == 2 && group.bytes().all(|byte| byte.is_ascii_hexdigit());
    if mac.is_empty() || (matches!(groups.len(), 6 | 8 | 20) && groups.iter().all(hex)) {
        Ok(())
    } else {
        Err(format!("{mac} is not a valid mac address"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Order, Parsed, parse as parse_flags};

    fn read(line: &str) -> Result<Networks, String> {
        let args = line.split_whitespace().map(str::to_owned).collect();
        match parse_flags::<NetworkFlags>(args, Order::Mixed) {
            Ok(Parsed::Flags(flags, _)) => parse(&flags),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_said_is_the_default_network() {
        let networks = read("").unwrap();
        assert_eq!(networks.mode, "default");
        assert_eq!(networks.endpoints.endpoints_config["default"], Some(EndpointSettings::default()));
    }

    #[test]
    fn a_plain_network_needs_no_endpoint() {
        let networks = read("--network host").unwrap();
        assert_eq!(networks.mode, "host");
        assert!(networks.endpoints.endpoints_config.is_empty());
    }

    #[test]
    fn old_flags_mean_the_first_network() {
        let networks =
            read("--net a --network b --network-alias web --ip 10.0.0.2 --mac-address 02:00:00:00:00:01")
                .unwrap();
        assert_eq!(networks.mode, "b");
        let first = networks.endpoints.endpoints_config["b"].as_ref().unwrap();
        assert_eq!(first.aliases, ["web"]);
        assert_eq!(first.ipam_config.as_ref().unwrap().ipv4_address, "10.0.0.2");
        assert_eq!(networks.mac_address, "02:00:00:00:00:01");
    }

    #[test]
    fn conflicts_are_refused() {
        for line in [
            "--network name=a,alias=x --network-alias y",
            "--network-alias y",
            "--network host --network b",
            "--network a --network a",
            "--mac-address nonsense",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
