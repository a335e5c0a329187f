//! `container port`.

use std::net::IpAddr;

use barge_api::containers::PortBinding;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::NoFlags;
use crate::output;

/// List port mappings or a specific mapping for the container.
pub(crate) struct Port;

impl Verb for Port {
    type Flags = NoFlags;
    const USAGE: &'static str = "CONTAINER [PRIVATE_PORT[/PROTO]]";
    const ABOUT: &'static str = "List port mappings or a specific mapping for the container";
    const ARITY: Arity = Arity::Between(1, 2);

    async fn run(cli: &Cli, _flags: NoFlags, args: Vec<String>) -> Result<()> {
        let container = cli.client().await?.containers().inspect(&args[0]).await?;
        let ports = container.network_settings.ports;
        let Some(wanted) = args.get(1) else {
            let mut lines: Vec<(u16, String)> = Vec::new();
            for (port, bindings) in &ports {
                let number = port.split('/').next().and_then(|number| number.parse().ok()).unwrap_or(0);
                lines.extend(
                    bindings
                        .iter()
                        .flatten()
                        .map(|binding| (number, format!("{port} -> {}", address(binding)))),
                );
            }
            lines.sort_by_key(|(number, _)| *number);
            lines.iter().for_each(|(_, line)| output::say(line));
            return Ok(());
        };
        let port = if wanted.contains('/') { wanted.clone() } else { format!("{wanted}/tcp") };
        match ports.get(&port) {
            Some(Some(bindings)) if !bindings.is_empty() => {
                bindings.iter().for_each(|binding| output::say(&address(binding)));
                Ok(())
            }
            _ => Err(Failure::new(format!("Error: No public port '{wanted}' published for {}", args[0]))),
        }
    }
}

fn address(binding: &PortBinding) -> String {
    match binding.host_ip.parse() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]:{}", binding.host_port),
        _ => format!("{}:{}", binding.host_ip, binding.host_port),
    }
}
