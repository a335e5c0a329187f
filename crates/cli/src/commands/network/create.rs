//! `network create`.

use std::collections::BTreeMap;

use barge_api::networks::{ConfigReference, Ipam, IpamConfig, NetworkCreateRequest};

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::flags;
use crate::flags::value::{Labels, Pairs};
use crate::output;

/// Create a network.
pub(crate) struct Create;

flags! {
    /// Flags of `network create`.
    pub(crate) struct CreateFlags {
        attachable: bool = "attachable", "Enable manual container attachment";
        aux_address: Pairs = "aux-address", "Auxiliary IPv4 or IPv6 addresses used by Network driver";
        config_from: String = "config-from", "The network from which to copy the configuration";
        config_only: bool = "config-only", "Create a configuration only network";
        driver: String = "driver" / 'd' or "bridge", "Driver to manage the Network";
        gateway: Vec<String> = "gateway", "IPv4 or IPv6 Gateway for the master subnet";
        ingress: bool = "ingress", "Create swarm routing-mesh network";
        internal: bool = "internal", "Restrict external access to the network";
        ip_range: Vec<String> = "ip-range", "Allocate container ip from a sub-range";
        ipam_driver: String = "ipam-driver" or "default", "IP Address Management Driver";
        ipam_opt: Pairs = "ipam-opt", "Set IPAM driver specific options";
        ipv4: Option<bool> = "ipv4", "Enable or disable IPv4 address assignment";
        ipv6: Option<bool> = "ipv6", "Enable or disable IPv6 address assignment";
        label: Labels = "label", "Set metadata on a network";
        opt: Pairs = "opt" / 'o', "Set driver specific options";
        scope: String = "scope", "Control the network's scope";
        subnet: Vec<String> = "subnet", "Subnet in CIDR format that represents a network segment";
    }
}

impl Verb for Create {
    type Flags = CreateFlags;
    const USAGE: &'static str = "[OPTIONS] NETWORK";
    const ABOUT: &'static str = "Create a network";
    const ARITY: Arity = Arity::Exactly(1);

    async fn run(cli: &Cli, flags: CreateFlags, mut args: Vec<String>) -> Result<()> {
        let config = ipam(&flags).map_err(Failure::new)?;
        let request = NetworkCreateRequest {
            name: args.remove(0),
            driver: flags.driver,
            scope: flags.scope,
            enable_ipv4: flags.ipv4,
            enable_ipv6: flags.ipv6,
            ipam: Some(Ipam { driver: flags.ipam_driver, options: flags.ipam_opt.0, config }),
            internal: flags.internal,
            attachable: flags.attachable,
            ingress: flags.ingress,
            config_only: flags.config_only,
            config_from: (!flags.config_from.is_empty())
                .then_some(ConfigReference { network: flags.config_from }),
            options: flags.opt.0,
            labels: flags.label.into_map(),
            ..NetworkCreateRequest::default()
        };
        let created = cli.client().await?.networks().create(&request).await?;
        if !created.warning.is_empty() {
            output::warn(&format!("WARNING: {}", created.warning));
        }
        output::say(&created.id);
        Ok(())
    }
}

/// Sorts ranges, gateways and reserved addresses to the subnets they lie in.
fn ipam(flags: &CreateFlags) -> Result<Vec<IpamConfig>, String> {
    if flags.subnet.len() < flags.ip_range.len() || flags.subnet.len() < flags.gateway.len() {
        return Err("every ip-range or gateway must have a corresponding subnet".to_owned());
    }
    let mut subnets: Vec<(Net, IpamConfig)> = Vec::new();
    for text in &flags.subnet {
        let net = Net::parse(text).ok_or_else(|| format!("invalid CIDR address: {text}"))?;
        if subnets.iter().any(|(other, _)| other.holds(net.address) || net.holds(other.address)) {
            return Err("multiple overlapping subnet configuration is not supported".to_owned());
        }
        subnets.push((net, IpamConfig { subnet: text.clone(), ..IpamConfig::default() }));
    }
    for range in &flags.ip_range {
        let net = Net::parse(range).ok_or_else(|| format!("invalid CIDR address: {range}"))?;
        let config =
            home(&mut subnets, net.address).ok_or_else(|| format!("no matching subnet for range {range}"))?;
        if !config.ip_range.is_empty() {
            return Err(format!(
                "cannot configure multiple ranges ({range}, {}) on the same subnet ({})",
                config.ip_range, config.subnet
            ));
        }
        config.ip_range.clone_from(range);
    }
    for gateway in &flags.gateway {
        let config = gateway.parse().ok().and_then(|address| home(&mut subnets, address));
        let config = config.ok_or_else(|| format!("no matching subnet for gateway {gateway}"))?;
        if !config.gateway.is_empty() {
            return Err(format!(
                "cannot configure multiple gateways ({gateway}, {}) for the same subnet ({})",
                config.gateway, config.subnet
            ));
        }
        config.gateway.clone_from(gateway);
    }
    for (name, address) in &flags.aux_address.0 {
        let config = address.parse().ok().and_then(|parsed| home(&mut subnets, parsed));
        let config = config.ok_or_else(|| format!("no matching subnet for aux-address {address}"))?;
        BTreeMap::insert(&mut config.auxiliary_addresses, name.clone(), address.clone());
    }
    Ok(subnets.into_iter().map(|(_, config)| config).collect())
}

fn home(subnets: &mut [(Net, IpamConfig)], address: std::net::IpAddr) -> Option<&mut IpamConfig> {
    subnets.iter_mut().find(|(net, _)| net.holds(address)).map(|(_, config)| config)
}

/// A subnet, only to tell what lies in it.
#[derive(Clone, Copy, Debug)]
struct Net {
    address: std::net::IpAddr,
    prefix: u32,
}

impl Net {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let net = Self { address: address.parse().ok()?, prefix: prefix.parse().ok()? };
        (net.prefix <= if net.address.is_ipv4() { 32 } else { 128 }).then_some(net)
    }

    fn holds(self, other: std::net::IpAddr) -> bool {
        use std::net::IpAddr::{V4, V6};
        match (self.address, other) {
            (V4(own), V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - self.prefix).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (V6(own), V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - self.prefix).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flags::{Order, Parsed, parse};

    fn read(line: &str) -> Result<Vec<IpamConfig>, String> {
        let args = line.split_whitespace().map(str::to_owned).collect();
        match parse::<CreateFlags>(args, Order::Mixed) {
            Ok(Parsed::Flags(flags, _)) => ipam(&flags),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn addresses_find_their_subnets() {
        let line = "--subnet 10.1.0.0/16 --subnet fd00::/64 --gateway fd00::1 --ip-range 10.1.2.0/24 --aux-address a=10.1.0.9";
        let configs = read(line).unwrap();
        assert_eq!((configs[0].ip_range.as_str(), configs[1].gateway.as_str()), ("10.1.2.0/24", "fd00::1"));
        assert_eq!(configs[0].auxiliary_addresses["a"], "10.1.0.9");
        assert!(read("").unwrap().is_empty());
    }

    #[test]
    fn strays_are_refused() {
        for line in [
            "--gateway 10.0.0.1",
            "--subnet 10.0.0.0/24 --gateway 10.0.1.1",
            "--subnet 10.0.0.0/8 --subnet 10.1.0.0/16",
            "--subnet 10.0.0.0",
            "--subnet 10.0.0.0/33",
            "--subnet 10.0.0.0/0 --subnet 11.0.0.0/8",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
