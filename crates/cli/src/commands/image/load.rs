//! `image load`.

use barge_client::{Body, body_from_reader};

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result, reason};
use crate::flags::flags;
use crate::progress;
use crate::stream::terminal;

/// Load an image from a tar archive or STDIN.
pub(crate) struct Load;

flags! {
    /// Flags of `load`.
    pub(crate) struct LoadFlags {
        input: String = "input" / 'i', "Read from tar archive file, instead of STDIN";
        quiet: bool = "quiet" / 'q', "Suppress the load output";
    }
}

impl Verb for Load {
    type Flags = LoadFlags;
    const USAGE: &'static str = "[OPTIONS]";
    const ABOUT: &'static str = "Load an image from a tar archive or STDIN";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, flags: LoadFlags, _args: Vec<String>) -> Result<()> {
        if flags.input.is_empty() && terminal::stdin_is_terminal() {
            return Err(Failure::new("requested load from stdin, but stdin is empty"));
        }
        let body = source(&flags.input).await?;
        let quiet = flags.quiet || !terminal::stdout_is_terminal();
        // What was loaded is said also when the bars are not wanted.
        let lines = cli.client().await?.images().load(body, quiet).await?;
        progress::show(lines, false).await.map(drop)
    }
}

/// A file's content as a request's body; standard input's without a name.
pub(super) async fn source(path: &str) -> Result<Body> {
    if path.is_empty() || path == "-" {
        return Ok(body_from_reader(tokio::io::stdin()));
    }
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| Failure::new(format!("open {path}: {}", reason(&error))))?;
    Ok(body_from_reader(file))
}
