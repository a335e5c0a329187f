//! `container pause`.

use super::each::each;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::NoFlags;

/// Pause all processes within one or more containers.
pub(crate) struct Pause;

impl Verb for Pause {
    type Flags = NoFlags;
    const USAGE: &'static str = "CONTAINER [CONTAINER...]";
    const ABOUT: &'static str = "Pause all processes within one or more containers";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, _flags: NoFlags, args: Vec<String>) -> Result<()> {
        each(cli, &args, |containers, name| containers.pause(name)).await
    }
}
