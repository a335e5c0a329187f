//! `image push`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::flags;
use crate::{auth, image_name, output, progress};

/// Upload an image to a registry.
pub(crate) struct Push;

flags! {
    /// Flags of `push`.
    pub(crate) struct PushFlags {
        all_tags: bool = "all-tags" / 'a', "Push all tags of an image to the repository";
        disable_content_trust: bool = "disable-content-trust" or "true", "Skip image signing";
        platform: String = "platform", "Push a platform-specific manifest as a single-platform image to the registry.";
        quiet: bool = "quiet" / 'q', "Suppress verbose output";
    }
}

impl Verb for Push {
    type Flags = PushFlags;
    const USAGE: &'static str = "[OPTIONS] NAME[:TAG]";
    const ABOUT: &'static str = "Upload an image to a registry";
    const ARITY: Arity = Arity::Exactly(1);

    async fn run(cli: &Cli, flags: PushFlags, args: Vec<String>) -> Result<()> {
        let (repository, mut tag) = image_name::split(&args[0]);
        if flags.all_tags && !tag.is_empty() {
            return Err(Failure::new("tag can't be used with --all-tags/-a"));
        }
        if !flags.all_tags && tag.is_empty() {
            tag = "latest";
            if !flags.quiet {
                output::say("Using default tag: latest");
            }
        }
        let auth = auth::for_image(cli, repository);
        let short = image_name::short(repository);
        let lines = cli.client().await?.images().push(short, tag, &flags.platform, &auth).await?;
        progress::show(lines, flags.quiet).await?;
        if flags.quiet {
            output::say(&format!("{}:{tag}", image_name::canonical(repository)));
        }
        Ok(())
    }
}
