//! `container kill`.

use super::each::each;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::flags;

/// Kill one or more running containers.
pub(crate) struct Kill;

flags! {
    /// Flags of `kill`.
    pub(crate) struct KillFlags {
        signal: String = "signal" / 's', "Signal to send to the container";
    }
}

impl Verb for Kill {
    type Flags = KillFlags;
    const USAGE: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const ABOUT: &'static str = "Kill one or more running containers";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: KillFlags, args: Vec<String>) -> Result<()> {
        each(cli, &args, |containers, name| containers.kill(name, &flags.signal)).await
    }
}
