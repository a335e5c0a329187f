//! `network rm`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::flags;
use crate::output;

/// Remove one or more networks.
pub(crate) struct Rm;

flags! {
    /// Flags of `network rm`.
    pub(crate) struct RmFlags {
        force: bool = "force" / 'f', "Do not error if the network does not exist";
    }
}

impl Verb for Rm {
    type Flags = RmFlags;
    const USAGE: &'static str = "NETWORK [NETWORK...]";
    const ABOUT: &'static str = "Remove one or more networks";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: RmFlags, args: Vec<String>) -> Result<()> {
        let networks = cli.client().await?.networks();
        let mut failed = false;
        for name in &args {
            match networks.remove(name).await {
                Ok(()) => output::say(name),
                Err(error) if flags.force && error.is_not_found() => {}
                Err(error) => {
                    output::warn(&error.to_string());
                    failed = true;
                }
            }
        }
        // Each failure was told already.
        if failed { Err(Failure::status(1)) } else { Ok(()) }
    }
}
