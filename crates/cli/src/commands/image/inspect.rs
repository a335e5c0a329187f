//! `image inspect`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failures, Result};
use crate::flags::{INSPECT_FORMAT, flags};
use crate::output::inspect;

/// Display detailed information on one or more images.
pub(crate) struct Inspect;

flags! {
    /// Flags of `image inspect`.
    pub(crate) struct InspectFlags {
        format: String = "format" / 'f', INSPECT_FORMAT;
    }
}

impl Verb for Inspect {
    type Flags = InspectFlags;
    const USAGE: &'static str = "[OPTIONS] IMAGE [IMAGE...]";
    const ABOUT: &'static str = "Display detailed information on one or more images";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: InspectFlags, args: Vec<String>) -> Result<()> {
        let objects = cli.client().await?.images();
        let (mut found, mut failures) = (Vec::new(), Failures::default());
        for name in &args {
            let answer = objects.inspect_raw(name, "").await;
            found.extend(failures.note(answer).map(|text| String::from_utf8_lossy(&text).trim().to_owned()));
        }
        inspect::print(&found, failures, &flags.format)
    }
}
