//! `image rm`, `rmi`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failures, Result};
use crate::flags::flags;
use crate::output;

/// Remove one or more images.
pub(crate) struct Rm;

flags! {
    /// Flags of `rmi`.
    pub(crate) struct RmFlags {
        force: bool = "force" / 'f', "Force removal of the image";
        no_prune: bool = "no-prune", "Do not delete untagged parents";
    }
}

impl Verb for Rm {
    type Flags = RmFlags;
    const USAGE: &'static str = "[OPTIONS] IMAGE [IMAGE...]";
    const ABOUT: &'static str = "Remove one or more images";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: RmFlags, args: Vec<String>) -> Result<()> {
        let images = cli.client().await?.images();
        let (mut failures, mut missing_only) = (Failures::default(), true);
        for name in &args {
            let removed = images.remove(name, flags.force, flags.no_prune).await;
            missing_only &= removed.as_ref().err().is_none_or(|error| error.is_not_found());
            for item in failures.note(removed).into_iter().flatten() {
                if item.deleted.is_empty() {
                    output::say(&format!("Untagged: {}", item.untagged));
                } else {
                    output::say(&format!("Deleted: {}", item.deleted));
                }
            }
        }
        match failures.into_result() {
            // Forced removal is content with there being nothing left.
            Err(failure) if flags.force && missing_only => {
                output::warn(&failure.text);
                Ok(())
            }
            result => result,
        }
    }
}
