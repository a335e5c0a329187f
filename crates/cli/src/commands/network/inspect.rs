//! `network inspect`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failures, Result};
use crate::flags::{INSPECT_FORMAT, flags};
use crate::output::inspect;

/// Display detailed information on one or more networks.
pub(crate) struct Inspect;

flags! {
    /// Flags of `network inspect`.
    pub(crate) struct InspectFlags {
        verbose: bool = "verbose" / 'v', "Verbose output for diagnostics";
        format: String = "format" / 'f', INSPECT_FORMAT;
    }
}

impl Verb for Inspect {
    type Flags = InspectFlags;
    const USAGE: &'static str = "[OPTIONS] NETWORK [NETWORK...]";
    const ABOUT: &'static str = "Display detailed information on one or more networks";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: InspectFlags, args: Vec<String>) -> Result<()> {
        let objects = cli.client().await?.networks();
        let (mut found, mut failures) = (Vec::new(), Failures::default());
        for name in &args {
            let answer = objects.inspect_raw(name, "", flags.verbose).await;
            found.extend(failures.note(answer).map(|text| String::from_utf8_lossy(&text).trim().to_owned()));
        }
        inspect::print(&found, failures, &flags.format)
    }
}
