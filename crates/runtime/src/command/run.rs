//! `run`: create, start, and wait for the end.

use std::path::Path;

use clap::Args;

use super::create::{self, Start};
use super::streams;
use crate::error::{Error, Result};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    create: create::Arguments,
    /// Do not wait for the end
    #[arg(long, short)]
    detach: bool,
    /// Keep the state when the container has ended
    #[arg(long)]
    keep: bool,
}

pub(super) fn run(root: &Path, arguments: &Arguments) -> Result<u8> {
    let foreground = streams::Foreground::begin(arguments.detach)?;
    let (container, mut created) = create::make(root, &arguments.create, Start::Now)?;
    let console = created.console.take();
    let socket = arguments.create.console_socket.as_deref();
    let kept = match (&console, socket) {
        (Some(console), Some(socket)) => streams::send_console(socket, console).map(|()| None),
        (Some(_), None) if arguments.detach => Err(Error::Usage {
            reason: "cannot allocate tty if runc will detach without setting console socket".into(),
        }),
        _ => Ok(console),
    };
    let started = kept.and_then(|console| created.start().map(|()| console));
    let console = started.inspect_err(|_| create::discard(&container, &created))?;
    if arguments.detach {
        return Ok(0);
    }
    let code = foreground.wait(created.pid, console)?;
    if !arguments.keep {
        container.remove()?;
    }
    Ok(code)
}
