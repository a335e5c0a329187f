//! `volume create`.

use barge_api::volumes::VolumeCreateRequest;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::flags;
use crate::flags::value::{Labels, Pairs};
use crate::output;

/// Create a volume.
pub(crate) struct Create;

flags! {
    /// Flags of `volume create`.
    pub(crate) struct CreateFlags {
        driver: String = "driver" / 'd' or "local", "Specify volume driver name";
        label: Labels = "label", "Set metadata for a volume";
        name: String = "name", "";
        opt: Pairs = "opt" / 'o', "Set driver specific options";
    }
}

impl Verb for Create {
    type Flags = CreateFlags;
    const USAGE: &'static str = "[OPTIONS] [VOLUME]";
    const ABOUT: &'static str = "Create a volume";
    const ARITY: Arity = Arity::AtMost(1);

    async fn run(cli: &Cli, flags: CreateFlags, args: Vec<String>) -> Result<()> {
        let name = match args.into_iter().next() {
            Some(_) if !flags.name.is_empty() => {
                return Err(Failure::new(
                    "conflicting options: cannot specify a volume-name through both --name and as a positional arg",
                ));
            }
            Some(name) => name,
            None => flags.name,
        };
        let request = VolumeCreateRequest {
            driver: flags.driver,
            driver_opts: flags.opt.0,
            labels: flags.label.into_map(),
            name,
        };
        output::say(&cli.client().await?.volumes().create(&request).await?.name);
        Ok(())
    }
}
