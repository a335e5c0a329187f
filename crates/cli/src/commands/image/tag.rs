//! `image tag`.

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::NoFlags;
use crate::image_name;

/// Create a tag `TARGET_IMAGE` that refers to `SOURCE_IMAGE`.
pub(crate) struct Tag;

impl Verb for Tag {
    type Flags = NoFlags;
    const USAGE: &'static str = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]";
    const ABOUT: &'static str = "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE";
    const ARITY: Arity = Arity::Exactly(2);

    async fn run(cli: &Cli, _flags: NoFlags, args: Vec<String>) -> Result<()> {
        let (repository, tag) = image_name::split(&args[1]);
        let tag = if tag.is_empty() { "latest" } else { tag };
        Ok(cli.client().await?.images().tag(&args[0], repository, tag).await?)
    }
}
