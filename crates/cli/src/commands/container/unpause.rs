//! `container unpause`.

use super::each::each;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::NoFlags;

/// Unpause all processes within one or more containers.
pub(crate) struct Unpause;

impl Verb for Unpause {
    type Flags = NoFlags;
    const USAGE: &'static str = "CONTAINER [CONTAINER...]";
    const ABOUT: &'static str = "Unpause all processes within one or more containers";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, _flags: NoFlags, args: Vec<String>) -> Result<()> {
        each(cli, &args, |containers, name| containers.unpause(name)).await
    }
}
