//! `network disconnect`.

use barge_api::networks::NetworkDisconnectRequest;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::flags;

/// Disconnect a container from a network.
pub(crate) struct Disconnect;

flags! {
    /// Flags of `network disconnect`.
    pub(crate) struct DisconnectFlags {
        force: bool = "force" / 'f', "Force the container to disconnect from a network";
    }
}

impl Verb for Disconnect {
    type Flags = DisconnectFlags;
    const USAGE: &'static str = "[OPTIONS] NETWORK CONTAINER";
    const ABOUT: &'static str = "Disconnect a container from a network";
    const ARITY: Arity = Arity::Exactly(2);

    async fn run(cli: &Cli, flags: DisconnectFlags, args: Vec<String>) -> Result<()> {
        let request = NetworkDisconnectRequest { container: args[1].clone(), force: flags.force };
        Ok(cli.client().await?.networks().disconnect(&args[0], &request).await?)
    }
}
