//! `container rm`.

use barge_client::RemoveOptions;

use super::each::{Done, each};
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::flags;
use crate::output;

/// Remove one or more containers.
pub(crate) struct Rm;

flags! {
    /// Flags of `rm`.
    pub(crate) struct RmFlags {
        force: bool = "force" / 'f', "Force the removal of a running container (uses SIGKILL)";
        link: bool = "link" / 'l', "Remove the specified link";
        volumes: bool = "volumes" / 'v', "Remove anonymous volumes associated with the container";
    }
}

impl Verb for Rm {
    type Flags = RmFlags;
    const USAGE: &'static str = "[OPTIONS] CONTAINER [CONTAINER...]";
    const ABOUT: &'static str = "Remove one or more containers";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: RmFlags, args: Vec<String>) -> Result<()> {
        let options = RemoveOptions { force: flags.force, volumes: flags.volumes, link: flags.link };
        each(cli, &args, |containers, name| async move {
            match containers.remove(name.trim_matches('/'), options).await {
                // Forced removal is content with there being nothing left.
                Err(error) if options.force && error.is_not_found() => {
                    output::warn(&error.to_string());
                    Ok(Done::Silently)
                }
                result => result.map(Done::from),
            }
        })
        .await
    }
}
