//! `image ls`, `images`.

use std::collections::BTreeMap;

use barge_api::images::ImageSummary;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::Result;
use crate::flags::filter::FilterFlags;
use crate::flags::{LIST_FORMAT, flags};
use crate::image_name;
use crate::output::table::{self, Columns, Wanted};
use crate::output::template::Row;
use crate::output::{short_id, units};

/// List images.
pub(crate) struct Ls;

flags! {
    /// Flags of `images`.
    pub(crate) struct LsFlags {
        all: bool = "all" / 'a', "Show all images (default hides intermediate images)";
        digests: bool = "digests", "Show digests";
        filter: FilterFlags = "filter" / 'f', "Filter output based on conditions provided";
        format: String = "format", LIST_FORMAT;
        no_trunc: bool = "no-trunc", "Don't truncate output";
        quiet: bool = "quiet" / 'q', "Only show image IDs";
    }
}

const HEADINGS: &[(&str, &str)] = &[
    ("ID", "IMAGE ID"),
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("Containers", "CONTAINERS"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
];

const TABLE: &str = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
const TABLE_WITH_DIGEST: &str =
    "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

const NONE: &str = "<none>";

impl Verb for Ls {
    type Flags = LsFlags;
    const USAGE: &'static str = "[OPTIONS] [REPOSITORY[:TAG]]";
    const ABOUT: &'static str = "List images";
    const ARITY: Arity = Arity::AtMost(1);

    async fn run(cli: &Cli, flags: LsFlags, args: Vec<String>) -> Result<()> {
        let mut filters = flags.filter.0;
        if let Some(reference) = args.first() {
            filters.add("reference", reference);
        }
        let format = match cli.config().text("imagesFormat") {
            Some(configured) if flags.format.is_empty() && !flags.quiet => configured,
            _ => &flags.format,
        };
        let images = cli.client().await?.images().list(flags.all, &filters).await?;
        let columns = Columns {
            headings: HEADINGS,
            table: if flags.digests { TABLE_WITH_DIGEST } else { TABLE },
            quiet: "{{.ID}}",
        };
        let with_digests = flags.digests || format.contains(".Digest");
        let mut rows = Vec::new();
        for image in &images {
            let names = names(image, with_digests);
            // One line an image is enough where only the ID is shown.
            let shown = if flags.quiet { 1 } else { names.len() };
            rows.extend(names.into_iter().take(shown).map(|name| row(image, name, flags.no_trunc)));
        }
        table::print(&columns, Wanted { format, quiet: flags.quiet }, rows)
    }
}

/// One name of an image, in its parts.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    repository: String,
    tag: String,
    digest: String,
}

/// The lines an image has: one for each tag, or for each digest without a tag, or one for neither.
fn names(image: &ImageSummary, with_digests: bool) -> Vec<Name> {
    let mut digests: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in image.repo_digests.iter().filter(|name| !name.starts_with(NONE)) {
        if let Some((repository, digest)) = name.split_once('@') {
            digests.entry(image_name::short(repository)).or_default().push(digest);
        }
    }
    let mut names = Vec::new();
    let mut add = |repository: &str, tag: &str, digest: &str| {
        names.push(Name {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
        });
    };
    let mut tagged = Vec::new();
    for name in image.repo_tags.iter().filter(|name| !name.starts_with(NONE)) {
        let (repository, tag) = image_name::split(image_name::short(name));
        tagged.push(repository);
        match digests.get(repository) {
            Some(digests) if with_digests => digests.iter().for_each(|digest| add(repository, tag, digest)),
            _ => add(repository, tag, NONE),
        }
    }
    for (repository, digests) in digests.iter().filter(|(repository, _)| !tagged.contains(repository)) {
        if with_digests {
            digests.iter().for_each(|digest| add(repository, NONE, digest));
        } else {
            add(repository, NONE, NONE);
        }
    }
    if names.is_empty() {
        names.push(Name { repository: NONE.to_owned(), tag: NONE.to_owned(), digest: NONE.to_owned() });
    }
    names
}

fn row(image: &ImageSummary, name: Name, whole: bool) -> Row {
    let counted = |count: i64, text: String| if count < 0 { "N/A".to_owned() } else { text };
    Row::default()
        .with("ID", if whole { image.id.clone() } else { short_id(&image.id) })
        .with("Repository", name.repository)
        .with("Tag", name.tag)
        .with("Digest", name.digest)
        .with("CreatedSince", if image.created > 0 { units::ago(image.created) } else { "N/A".to_owned() })
        .with("CreatedAt", units::go_time(image.created))
        .with("Size", units::human_size_with(image.size, 3))
        .with("Containers", counted(image.containers, image.containers.to_string()))
        .with("VirtualSize", units::human_size_with(image.size, 3))
        .with("SharedSize", counted(image.shared_size, units::human_size(image.shared_size)))
        .with("UniqueSize", counted(image.shared_size, units::human_size(image.size - image.shared_size)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_a_line() {
        let image = ImageSummary {
            repo_tags: vec!["busybox:1".into(), "127.0.0.1:5000/b:2".into()],
            repo_digests: vec!["busybox@sha256:aa".into(), "ghcr.io/x/y@sha256:bb".into()],
            ..ImageSummary::default()
        };
        let flat = |with_digests| {
            let names = names(&image, with_digests);
            names
                .into_iter()
                .map(|name| format!("{} {} {}", name.repository, name.tag, name.digest))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            flat(false),
            ["busybox 1 <none>", "127.0.0.1:5000/b 2 <none>", "ghcr.io/x/y <none> <none>"]
        );
        assert_eq!(
            flat(true),
            ["busybox 1 sha256:aa", "127.0.0.1:5000/b 2 <none>", "ghcr.io/x/y <none> sha256:bb"]
        );
        assert_eq!(names(&ImageSummary::default(), false).len(), 1);
    }
}
