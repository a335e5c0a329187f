//! `volume inspect`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failures, Result};
use crate::flags::{INSPECT_FORMAT, flags};
use crate::output::inspect;

/// Display detailed information on one or more volumes.
pub(crate) struct Inspect;

flags! {
    /// Flags of `volume inspect`.
    pub(crate) struct InspectFlags {
        format: String = "format" / 'f', INSPECT_FORMAT;
    }
}

impl Verb for Inspect {
    type Flags = InspectFlags;
    const USAGE: &'static str = "[OPTIONS] VOLUME [VOLUME...]";
    const ABOUT: &'static str = "Display detailed information on one or more volumes";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: InspectFlags, args: Vec<String>) -> Result<()> {
        let objects = cli.client().await?.volumes();
        let (mut found, mut failures) = (Vec::new(), Failures::default());
        for name in &args {
            let answer = objects.inspect_raw(name).await;
            found.extend(failures.note(answer).map(|text| String::from_utf8_lossy(&text).trim().to_owned()));
        }
        inspect::print(&found, failures, &flags.format)
    }
}
