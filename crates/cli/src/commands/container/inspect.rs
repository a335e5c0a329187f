//! `container inspect`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failures, Result};
use crate::flags::{INSPECT_FORMAT, flags};
use crate::output::inspect;

/// Display detailed information on one or more containers.
pub(crate) struct Inspect;

flags! {
    /// Flags of `container inspect`.
    pub(crate) struct InspectFlags {
        format: String = "format" / 'f', INSPECT_FORMAT;
        size: bool = "size" / 's', "Display total file sizes";
    }
}

impl Verb for Inspect {
    type Flags = InspectFlags;
    const USAGE: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const ABOUT: &'static str = "Display detailed information on one or more containers";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: InspectFlags, args: Vec<String>) -> Result<()> {
        let containers = cli.client().await?.containers();
        let (mut found, mut failures) = (Vec::new(), Failures::default());
        for name in &args {
            let answer = containers.inspect_raw(name, flags.size).await;
            found.extend(failures.note(answer).map(|text| String::from_utf8_lossy(&text).trim().to_owned()));
        }
        inspect::print(&found, failures, &flags.format)
    }
}
