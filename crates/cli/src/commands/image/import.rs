//! `image import`.

use barge_client::{Body, ImportOptions};

use super::load::source;
use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::flags;
use crate::{image_name, progress};

/// Import the contents from a tarball to create a filesystem image.
pub(crate) struct Import;

flags! {
    /// Flags of `import`.
    pub(crate) struct ImportFlags {
        change: Vec<String> = "change" / 'c', "Apply Dockerfile instruction to the created image";
        message: String = "message" / 'm', "Set commit message for imported image";
        platform: String = "platform", "Set platform if server is multi-platform capable";
    }
}

impl Verb for Import {
    type Flags = ImportFlags;
    const USAGE: &'static str = "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]";
    const ABOUT: &'static str = "Import the contents from a tarball to create a filesystem image";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: ImportFlags, args: Vec<String>) -> Result<()> {
        let is_url = args[0].starts_with("http://") || args[0].starts_with("https://");
        let (repository, tag) = image_name::split(args.get(1).map_or("", String::as_str));
        let options = ImportOptions {
            source: if is_url { args[0].clone() } else { "-".to_owned() },
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            message: flags.message,
            changes: flags.change,
            platform: flags.platform,
        };
        let body = if is_url { Body::default() } else { source(&args[0]).await? };
        let lines = cli.client().await?.images().import(&options, body).await?;
        progress::show(lines, false).await.map(drop)
    }
}
