//! `volume rm`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failures, Result};
use crate::flags::flags;
use crate::output;

/// Remove one or more volumes.
pub(crate) struct Rm;

flags! {
    /// Flags of `volume rm`.
    pub(crate) struct RmFlags {
        force: bool = "force" / 'f', "Force the removal of one or more volumes";
    }
}

impl Verb for Rm {
    type Flags = RmFlags;
    const USAGE: &'static str = "[OPTIONS] VOLUME [VOLUME...]";
    const ABOUT: &'static str = "Remove one or more volumes";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: RmFlags, args: Vec<String>) -> Result<()> {
        let volumes = cli.client().await?.volumes();
        let mut failures = Failures::default();
        for name in &args {
            if failures.note(volumes.remove(name, flags.force).await).is_some() {
                output::say(name);
            }
        }
        failures.into_result()
    }
}
