//! The line between a container's init and its parent: one packet per message, JSON, descriptors alongside.
//!
//! ```text
//! init                                parent
//!  ├── OomScore { score } ─────────────>│   only in a user namespace
//!  │<───────────────────────── one byte ─┤   it is set, or can't be
//!  ├── MapIds ──────────────────────────>│   only with a new user namespace
//!  │<───────────────────────── one byte ─┤   the maps are written
//!  ├── Links ───────────────────────────>│   only with network devices to move
//!  │<───────────────────────── one byte ─┤   they are there
//!  ├── Console + descriptor ────────────>│   only with a terminal
//!  ├── Mounted ───────────────────────>│   only with hooks during create
//!  │<───────────────────────── one byte ─┤   the runtime's hooks have run
//!  ├── Listener { number } ─────────────>│   only with a seccomp listener; before or after Console
//!  │<───────────────────────── one byte ─┤   the listener has it
//!  ├── Ready { warnings } ──────────────>│
//!  │<───────────────────────── one byte ─┤   run the program
//!  └── (closed by a successful exec)     │
//! ```
//!
//! At any point init may send `Failed` instead and die. Either side sees the other's end by a closed channel.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::Timeout;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What init tells its parent.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// It waits for its id maps.
    MapIds,
    /// A middle has given birth to this process, whose pidfd comes with this (see [`crate::birth`]).
    Born { pid: i32 },
    /// It has no right to this score, its parent may.
    OomScore { score: i32 },
    /// It is in its network namespace and waits for the host's links.
    Links,
    /// The master of its terminal comes with this.
    Console,
    /// Its mounts are made and it waits for the hooks of its parent.
    Mounted,
    /// Its descriptor of this number asks about system calls; whoever decides on them has to get it.
    Listener { number: i32 },
    /// All is set up but the program.
    Ready { warnings: Vec<String> },
    /// It can't go on.
    Failed(Error),
}

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// The most a message may have: a few paths, of at most a page each.
const LARGEST: usize = 16 * 1024;

impl Channel {
    /// Both ends; which is whose does not matter.
    pub(crate) fn pair() -> Result<(Self, Self)> {
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map(|(one, other)| (Self(one), Self(other)))
            .map_err(failed)
    }

    /// Sends a report, with a descriptor if it speaks of one.
    pub(crate) fn report(&self, report: &Report, fd: Option<BorrowedFd<'_>>) -> Result<()> {
        let mut bytes = serde_json::to_vec(report).map_err(|_| failed(Errno::INVAL))?;
        if bytes.len() > LARGEST {
            let short = Report::Failed(failed(Errno::MSGSIZE));
            bytes = serde_json::to_vec(&short).map_err(|_| failed(Errno::INVAL))?;
        }
        let Some(fd) = fd else {
            // Plain writes and reads: the container's seccomp filter may hold already, and know nothing of sockets.
            return rustix::io::write(&self.0, &bytes).map(drop).map_err(failed);
        };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = [fd];
        ancillary.push(SendAncillaryMessage::ScmRights(&fds));
        rustix::net::sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::NOSIGNAL)
            .map(drop)
            .map_err(failed)
    }

    /// Makes [`Channel::next`] look up from its wait in intervals of `patience`.
    pub(crate) fn look_up_every(&self, patience: Duration) -> Result<()> {
        rustix::net::sockopt::set_socket_timeout(&self.0, Timeout::Recv, Some(patience)).map_err(failed)
    }

    /// Waits for the next report. `waiting` is asked in intervals whether there is sense in it. `None` when the other side has closed: it runs its program, or is dead.
    pub(crate) fn next(&self, waiting: impl Fn() -> Result<()>) -> Result<Option<(Report, Option<OwnedFd>)>> {
        let mut bytes = vec![0; LARGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut into = [IoSliceMut::new(&mut bytes)];
            match rustix::net::recvmsg(&self.0, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::AGAIN) => waiting()?,
                Err(Errno::INTR) => {}
                received => break received,
            }
        };
        let length = match received {
            Ok(message) => message.bytes,
            // A peer that died with unread bytes of ours is just gone.
            Err(Errno::CONNRESET) => 0,
            Err(errno) => return Err(failed(errno)),
        };
        if length == 0 {
            return Ok(None);
        }
        let fd = ancillary
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(fds) => Some(fds),
                _ => None,
            })
            .flatten()
            .next();
        let report = serde_json::from_slice(&bytes[..length]).map_err(|_| failed(Errno::BADMSG))?;
        Ok(Some((report, fd)))
    }

    /// Tells the other side to go on.
    pub(crate) fn go(&self) -> Result<()> {
        match rustix::net::send(&self.0, b"g", SendFlags::NOSIGNAL) {
            Ok(_) => Ok(()),
            // Killed, by somebody in the container perhaps.
            Err(Errno::PIPE | Errno::CONNRESET) => Err(Error::InitDied),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Waits for [`Channel::go`]; false when the other side is gone instead.
    pub(crate) fn wait(&self) -> Result<bool> {
        let mut byte = [0u8; 1];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.0, &mut byte)) {
            Ok(count) => Ok(count == 1),
            // It died with unread bytes of ours.
            Err(Errno::CONNRESET) => Ok(false),
            Err(errno) => Err(failed(errno)),
        }
    }
}

impl From<OwnedFd> for Channel {
    /// A copy of an end.
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn failed(errno: Errno) -> Error {
    Error::Channel { source: errno.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_descriptors_travel() {
        let (one, other) = Channel::pair().unwrap();
        one.report(&Report::Console, Some(one.as_fd())).unwrap();
        one.report(&Report::Failed(Error::InitDied), None).unwrap();
        assert!(matches!(other.next(|| Ok(())).unwrap(), Some((Report::Console, Some(_)))));
        assert!(matches!(other.next(|| Ok(())).unwrap(), Some((Report::Failed(Error::InitDied), None))));
        other.go().unwrap();
        assert!(one.wait().unwrap());
        drop(one);
        assert!(other.next(|| Ok(())).unwrap().is_none());
        assert_eq!(other.go(), Err(Error::InitDied));
        assert!(!other.wait().unwrap());
    }
}
