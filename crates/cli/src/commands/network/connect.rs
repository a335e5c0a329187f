//! `network connect`.

use barge_api::networks::{EndpointIpamConfig, EndpointSettings, NetworkConnectRequest};

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::flags;
use crate::flags::value::Pairs;

/// Connect a container to a network.
pub(crate) struct Connect;

flags! {
    /// Flags of `network connect`.
    pub(crate) struct ConnectFlags {
        alias: Vec<String> = "alias", "Add network-scoped alias for the container";
        driver_opt: Pairs = "driver-opt", "driver options for the network";
        gw_priority: i64 = "gw-priority", "Highest gw-priority provides the default gateway. Accepts positive and negative values";
        ip: String = "ip", "IPv4 address (e.g., \"172.30.100.104\")";
        ip6: String = "ip6", "IPv6 address (e.g., \"2001:db8::33\")";
        link: Vec<String> = "link", "Add link to another container";
        link_local_ip: Vec<String> = "link-local-ip", "Add a link-local address for the container";
    }
}

impl Verb for Connect {
    type Flags = ConnectFlags;
    const USAGE: &'static str = "[OPTIONS] NETWORK CONTAINER";
    const ABOUT: &'static str = "Connect a container to a network";
    const ARITY: Arity = Arity::Exactly(2);

    async fn run(cli: &Cli, flags: ConnectFlags, args: Vec<String>) -> Result<()> {
        let addresses = EndpointIpamConfig {
            ipv4_address: flags.ip,
            ipv6_address: flags.ip6,
            link_local_ips: flags.link_local_ip,
        };
        let endpoint = EndpointSettings {
            ipam_config: Some(addresses),
            links: flags.link,
            aliases: flags.alias,
            driver_opts: flags.driver_opt.0,
            gw_priority: flags.gw_priority,
            ..EndpointSettings::default()
        };
        let request = NetworkConnectRequest { container: args[1].clone(), endpoint_config: Some(endpoint) };
        Ok(cli.client().await?.networks().connect(&args[0], &request).await?)
    }
}
