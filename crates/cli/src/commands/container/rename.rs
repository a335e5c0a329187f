//! `container rename`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::NoFlags;

/// Rename a container.
pub(crate) struct Rename;

impl Verb for Rename {
    type Flags = NoFlags;
    const USAGE: &'static str = "CONTAINER NEW_NAME";
    const ABOUT: &'static str = "Rename a container";
    const ARITY: Arity = Arity::Exactly(2);

    async fn run(cli: &Cli, _flags: NoFlags, args: Vec<String>) -> Result<()> {
        let (old, new) = (args[0].trim(), args[1].trim());
        if old.is_empty() || new.is_empty() {
            return Err(Failure::new("Error: Neither old nor new names may be empty"));
        }
        let renamed = cli.client().await?.containers().rename(old, new).await;
        renamed
            .map_err(|error| Failure::new(format!("{error}\nError: failed to rename container named {old}")))
    }
}
