//! The pipes between the shim and a process, or the ends of its terminal.

use std::io;
use std::os::fd::OwnedFd;

use barge_runtime::Stdio;
use rustix::fs::{Mode, OFlags};
use rustix::pipe::PipeFlags;

use crate::config::Stdin;
use crate::logs::Stream;

/// The shim's ends of a process's streams. None of them blocks.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) input: Option<OwnedFd>,
    pub(crate) outputs: Vec<(Stream, OwnedFd)>,
    /// The terminal's master, for its size.
    pub(crate) console: Option<OwnedFd>,
}

/// Makes three pipes, or `/dev/null` for an input that stays closed.
pub(crate) fn pipes(stdin: Stdin) -> io::Result<(Stdio, Ends)> {
    let mut ends = Ends::default();
    let stdin = match stdin {
        Stdin::Closed => rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?,
        Stdin::Open | Stdin::Once => {
            let (theirs, ours) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
            ends.input = Some(non_blocking(ours)?);
            theirs
        }
    };
    let mut output = |stream| -> io::Result<OwnedFd> {
        let (ours, theirs) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        ends.outputs.push((stream, non_blocking(ours)?));
        Ok(theirs)
    };
    let (stdout, stderr) = (output(Stream::Stdout)?, output(Stream::Stderr)?);
    Ok((Stdio::Fds { stdin, stdout, stderr }, ends))
}

impl Ends {
    /// The ends of a terminal, from its master.
    pub(crate) fn terminal(master: OwnedFd) -> io::Result<Self> {
        let master = non_blocking(master)?;
        // The same open file under more numbers: reading and writing are watched apart.
        let (input, output) = (duplicate(&master)?, duplicate(&master)?);
        Ok(Self { input: Some(input), outputs: vec![(Stream::Stdout, output)], console: Some(master) })
    }
}

fn duplicate(fd: &OwnedFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, 0)?)
}

/// Pipes and terminals have no other status flags that would have to be kept.
fn non_blocking(fd: OwnedFd) -> io::Result<OwnedFd> {
    rustix::fs::fcntl_setfl(&fd, OFlags::NONBLOCK)?;
    Ok(fd)
}
