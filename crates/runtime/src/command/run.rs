//! `run`: create, start, and wait for the end.

use super::create::{self, Start};
use super::flags::{CONTAINER, Flag, Given, Syntax};
use super::{Globals, Verb, streams};
use crate::error::Result;

pub(super) const VERB: Verb = Verb::new(
    Syntax {
        verb: "run",
        about: "Create a container, start it and wait for its end",
        words: CONTAINER,
        count: (1, 1),
        open: false,
        flags: &FLAGS,
    },
    run,
);

const FLAGS: [Flag; 11] = {
    let [bundle, console, pidfd, pid, pivot, keyring, preserve, criu] = create::FLAGS;
    let detach = Flag::switch("detach", "Do not wait for the end").or('d');
    let keep = Flag::switch("keep", "Keep the state when the container has ended");
    let subreaper = Flag::switch("no-subreaper", "");
    [bundle, console, pidfd, pid, pivot, keyring, preserve, criu, detach, keep, subreaper]
};

fn run(globals: &Globals, given: &Given) -> Result<u8> {
    let detach = given.on("detach")?;
    let arguments = create::Arguments::of(given, detach)?;
    let foreground = streams::Foreground::begin(detach)?;
    let (container, mut created) = create::make(globals, &arguments, Start::Now)?;
    let console = created.console.take();
    let kept = match (&console, &arguments.console_socket) {
        (Some(console), Some(socket)) => streams::send_console(socket, console).map(|()| None),
        _ => Ok(console),
    };
    let started = kept.and_then(|console| created.start().map(|()| console));
    let console = started.inspect_err(|_| create::discard(&container, &created))?;
    if detach {
        return Ok(0);
    }
    let code = foreground.wait(&created.pidfd, console)?;
    if !given.on("keep")? {
        container.remove()?;
    }
    Ok(code)
}
