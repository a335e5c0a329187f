//! `inspect`: any object by its name, tried as each kind in turn.

use bytes::Bytes;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Failures, Result};
use crate::flags::{INSPECT_FORMAT, flags};
use crate::output::inspect;

/// Return low-level information on objects of any kind.
pub(crate) struct Inspect;

flags! {
    /// Flags of `inspect`.
    pub(crate) struct InspectFlags {
        format: String = "format" / 'f', INSPECT_FORMAT;
        size: bool = "size" / 's', "Display total file sizes if the type is container";
        kind: String = "type", "Only inspect objects of the given type";
    }
}

/// The kinds, in the order they are tried.
const KINDS: [&str; 4] = ["container", "image", "network", "volume"];

impl Verb for Inspect {
    type Flags = InspectFlags;
    const USAGE: &'static str = "[OPTIONS] NAME|ID [NAME|ID...]";
    const ABOUT: &'static str = "Return low-level information on Docker objects";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: InspectFlags, args: Vec<String>) -> Result<()> {
        if !flags.kind.is_empty() && !KINDS.contains(&flags.kind.as_str()) {
            return Err(Failure::new(format!("{:?} is not a valid value for --type", flags.kind)));
        }
        let (mut found, mut failures) = (Vec::new(), Failures::default());
        for name in &args {
            let answer = look_up(cli, name, &flags).await;
            found.extend(
                failures
                    .note(answer.map_err(|failure| failure.text))
                    .map(|text| String::from_utf8_lossy(&text).trim().to_owned()),
            );
        }
        inspect::print(&found, failures, &flags.format)
    }
}

async fn look_up(cli: &Cli, name: &str, flags: &InspectFlags) -> Result<Bytes> {
    let client = cli.client().await?;
    for kind in KINDS.into_iter().filter(|kind| flags.kind.is_empty() || flags.kind == *kind) {
        let answer = match kind {
            "container" => client.containers().inspect_raw(name, flags.size).await,
            "image" => client.images().inspect_raw(name, "").await,
            "network" => client.networks().inspect_raw(name, "", false).await,
            _ => client.volumes().inspect_raw(name).await,
        };
        match answer {
            // A name that cannot be one of this kind may be one of the next.
            Err(error) if flags.kind.is_empty() && matches!(error.status(), Some(400 | 404)) => {}
            answer => return Ok(answer?),
        }
    }
    Err(Failure::new(format!("error: no such object: {name}")))
}
