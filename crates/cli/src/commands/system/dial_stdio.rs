//! `system dial-stdio`: the engine's socket at our standard streams, for clients that come in by ssh.

use std::os::unix::net::UnixStream;

use barge_client::Endpoint;

use crate::cli::Cli;
use crate::commands::{Arity, Verb};
use crate::failure::{Failure, Result};
use crate::flags::NoFlags;

/// Proxy the stdio stream to the daemon connection.
pub(crate) struct DialStdio;

impl Verb for DialStdio {
    type Flags = NoFlags;
    const USAGE: &'static str = "";
    const ABOUT: &'static str =
        "Proxy the stdio stream to the daemon connection. Should not be invoked manually.";
    const ARITY: Arity = Arity::Exactly(0);

    async fn run(cli: &Cli, _flags: NoFlags, _args: Vec<String>) -> Result<()> {
        let Endpoint::Unix(path) = cli.client().await?.endpoint() else {
            return Err(Failure::new("dial-stdio works with a Unix socket only"));
        };
        let failed = |error: std::io::Error| Failure::new(format!("dial-stdio: {error}"));
        let mut from = UnixStream::connect(path).map_err(failed)?;
        let mut to = from.try_clone().map_err(failed)?;
        // Both ways block, so each has a thread; the answer's end is the end of all.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut to);
            let _ = to.shutdown(std::net::Shutdown::Write);
        });
        std::io::copy(&mut from, &mut Unbuffered).map(drop).map_err(failed)
    }
}

/// Standard output without the line buffer that would hold back half an answer.
struct Unbuffered;

impl std::io::Write for Unbuffered {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        crate::stream::terminal::write_stdout(bytes).map(|()| bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
