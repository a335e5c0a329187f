//! What the built-in image `barge/hello` says: that every part on the way of a `run` works.

use std::io::Write;
use std::process::ExitCode;

const GREETING: &str = "\
Hello from Barge!

This message shows that your installation works. To get here,
 1. the command line asked the daemon for a container of the image barge/hello,
 2. the daemon made that image on the fly: its one file is Barge's own static binary,
 3. a shim started it in namespaces of its own, confined as Docker confines it,
 4. and its output came back to your terminal, without passing through the daemon.

Next, try a shell in an image of your choice:
  barge run -it --rm debian bash
";

pub(crate) fn main() -> ExitCode {
    match std::io::stdout().write_all(GREETING.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
