//! `image pull`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::flags;
use crate::{auth, image_name, output, progress};

/// Download an image from a registry.
pub(crate) struct Pull;

flags! {
    /// Flags of `pull`.
    pub(crate) struct PullFlags {
        all_tags: bool = "all-tags" / 'a', "Download all tagged images in the repository";
        disable_content_trust: bool = "disable-content-trust" or "true", "Skip image verification";
        platform: String = "platform", "Set platform if server is multi-platform capable";
        quiet: bool = "quiet" / 'q', "Suppress verbose output";
    }
}

impl Verb for Pull {
    type Flags = PullFlags;
    const USAGE: &'static str = "[OPTIONS] NAME[:TAG|@DIGEST]";
    const ABOUT: &'static str = "Download an image from a registry";
    const ARITY: Arity = Arity::Exactly(1);

    async fn run(cli: &Cli, flags: PullFlags, args: Vec<String>) -> Result<()> {
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
        let platform = if flags.platform.is_empty() {
            std::env::var("DOCKER_DEFAULT_PLATFORM").unwrap_or_default()
        } else {
            flags.platform
        };
        let repository = image_name::canonical(repository);
        let auth = auth::for_image(cli, &repository);
        let lines = cli.client().await?.images().pull(&repository, tag, &platform, &auth).await?;
        progress::show(lines, flags.quiet).await?;
        let mark = if tag.contains(':') { "@" } else { ":" };
        output::say(&if tag.is_empty() { repository } else { format!("{repository}{mark}{tag}") });
        Ok(())
    }
}
