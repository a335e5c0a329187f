//! `container restart`.

use super::each::each;
use super::stop::StopFlags;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;

/// Restart one or more containers.
pub(crate) struct Restart;

impl Verb for Restart {
    type Flags = StopFlags;
    const USAGE: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const ABOUT: &'static str = "Restart one or more containers";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: StopFlags, args: Vec<String>) -> Result<()> {
        let options = flags.into_options()?;
        each(cli, &args, |containers, name| containers.restart(name, &options)).await
    }
}
