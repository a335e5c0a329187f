//! `image save`.

use tokio::io::AsyncWriteExt;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::flags;
use crate::stream::terminal;

/// Save one or more images to a tar archive (streamed to STDOUT by default).
pub(crate) struct Save;

flags! {
    /// Flags of `save`.
    pub(crate) struct SaveFlags {
        output: String = "output" / 'o', "Write to a file, instead of STDOUT";
    }
}

impl Verb for Save {
    type Flags = SaveFlags;
    const USAGE: &'static str = "[OPTIONS] IMAGE [IMAGE...]";
    const ABOUT: &'static str = "Save one or more images to a tar archive (streamed to STDOUT by default)";
    const ARITY: Arity = Arity::AtLeast(1);

    async fn run(cli: &Cli, flags: SaveFlags, args: Vec<String>) -> Result<()> {
        if flags.output.is_empty() && terminal::stdout_is_terminal() {
            return Err(Failure::new("cowardly refusing to save to a terminal. Use the -o flag or redirect"));
        }
        let mut archive = cli.client().await?.images().save(&args).await?;
        if flags.output.is_empty() {
            let mut stdout = tokio::io::stdout();
            let copied = tokio::io::copy_buf(
                &mut tokio::io::BufReader::with_capacity(1 << 20, &mut archive),
                &mut stdout,
            )
            .await;
            copied.map_err(|error| Failure::new(format!("cannot write the archive: {error}")))?;
            return stdout
                .flush()
                .await
                .map_err(|error| Failure::new(format!("cannot write the archive: {error}")));
        }
        let path = std::path::Path::new(&flags.output);
        // A broken archive must not stand under the name of a whole one.
        let draft = path.with_file_name(format!(
            ".{}.{}",
            path.file_name().unwrap_or_default().to_string_lossy(),
            std::process::id()
        ));
        let failed =
            |error: std::io::Error| Failure::new(format!("failed to save image: {}: {error}", flags.output));
        let written = async {
            let mut file = tokio::fs::File::create(&draft).await?;
            tokio::io::copy(&mut archive, &mut file).await?;
            file.flush().await?;
            tokio::fs::rename(&draft, path).await
        };
        let written = written.await;
        if written.is_err() {
            let _ = std::fs::remove_file(&draft);
        }
        written.map_err(failed)
    }
}
