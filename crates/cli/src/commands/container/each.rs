//! One request for each of several containers, many at once; names come out in the order they went in.

use barge_client::{Client, Containers};
use futures_util::{StreamExt, stream};

use crate::cli::Cli;
use crate::failure::{Failures, Result};
use crate::output;

/// How many requests are under way together.
const AT_ONCE: usize = 50;

/// What is to be said of a container that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// Its name.
    Named,
    Silently,
}

impl From<()> for Done {
    fn from((): ()) -> Self {
        Self::Named
    }
}

/// Does `action` for each container and prints the names of those it worked for.
pub(super) async fn each<'a, F, D>(
    cli: &'a Cli,
    names: &'a [String],
    action: impl Fn(Containers<'a>, &'a str) -> F,
) -> Result<()>
where
    F: Future<Output = barge_client::Result<D>>,
    Done: From<D>,
{
    let client: &Client = cli.client().await?;
    let mut results = stream::iter(names).map(|name| {
        let running = action(client.containers(), name);
        async move { (name, running.await) }
    });
    let mut results = std::pin::pin!(results.by_ref().buffered(AT_ONCE));
    let mut failures = Failures::default();
    while let Some((name, result)) = results.next().await {
        if failures.note(result.map(Done::from)) == Some(Done::Named) {
            output::say(name);
        }
    }
    failures.into_result()
}
