//! One epoll instance and the names of what it watches.
//!
//! A token names the object, not the descriptor: numbers are never used again, so an event that arrives for
//! something dropped earlier in the same round finds nothing. Everything is level-triggered.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// A child has ended.
    Signals,
    /// The container may want memory.
    Memory,
    /// A daemon connects.
    Listener,
    /// A daemon speaks, or is gone.
    Control(u32),
    /// A process has written; the second number is 0 for stdout or a terminal and 1 for stderr.
    Output(u32, u32),
    /// A process's standard input takes bytes again.
    Input(u32),
    /// A client of a process has sent, can take more, or is gone.
    Client(u32, u32),
}

/// What to wait for. Errors and hang-ups are always reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interest {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// Something that happened to a watched descriptor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) token: Token,
    pub(crate) read: bool,
    pub(crate) write: bool,
    /// Both directions are closed, or it failed.
    pub(crate) hangup: bool,
}

/// The epoll instance.
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Interest {
    pub(crate) const READ: Self = Self { read: true, write: false };
    pub(crate) const WRITE: Self = Self { read: false, write: true };

    fn flags(self) -> epoll::EventFlags {
        let mut flags = epoll::EventFlags::empty();
        flags.set(epoll::EventFlags::IN, self.read);
        flags.set(epoll::EventFlags::OUT, self.write);
        flags
    }
}

impl Poller {
    pub(crate) fn open() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, events: Vec::with_capacity(16) })
    }

    pub(crate) fn add(&self, source: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, source, token.pack(), interest.flags())?)
    }

    pub(crate) fn modify(&self, source: impl AsFd, token: Token, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, source, token.pack(), interest.flags())?)
    }

    /// Stops watching. Needed before a descriptor that others also hold is closed: epoll watches the open file.
    pub(crate) fn delete(&self, source: impl AsFd) {
        // It fails only for what isn't watched.
        let _ = epoll::delete(&self.epoll, source);
    }

    /// Waits for events, at most for `timeout`.
    pub(crate) fn wait(&mut self, timeout: Option<Duration>) -> io::Result<Vec<Ready>> {
        let timeout = timeout.map(|timeout| Timespec {
            tv_sec: timeout.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: timeout.subsec_nanos().into(),
        });
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(self.events.iter().filter_map(Ready::from_event).collect())
    }
}

impl Ready {
    fn from_event(event: &epoll::Event) -> Option<Self> {
        let (flags, data) = (event.flags, event.data);
        let hangup = flags.intersects(epoll::EventFlags::HUP | epoll::EventFlags::ERR);
        Some(Self {
            token: Token::unpack(data.u64())?,
            read: flags.contains(epoll::EventFlags::IN),
            write: flags.contains(epoll::EventFlags::OUT),
            hangup,
        })
    }
}

impl Token {
    /// Kind in the top four bits, the process's number in the 28 below (an exec a second for eight years), the client's in the low half.
    fn pack(self) -> epoll::EventData {
        let (kind, process, object) = match self {
            Self::Signals => (0, 0, 0),
            Self::Memory => (6, 0, 0),
            Self::Listener => (1, 0, 0),
            Self::Control(number) => (2, 0, number),
            Self::Output(process, stream) => (3, process, stream),
            Self::Input(process) => (4, process, 0),
            Self::Client(process, client) => (5, process, client),
        };
        let process = u64::from(process & 0x0FFF_FFFF);
        epoll::EventData::new_u64((kind << 60) | (process << 32) | u64::from(object))
    }

    fn unpack(data: u64) -> Option<Self> {
        let process = u32::try_from((data >> 32) & 0x0FFF_FFFF).ok()?;
        let object = u32::try_from(data & 0xFFFF_FFFF).ok()?;
        match data >> 60 {
            0 => Some(Self::Signals),
            1 => Some(Self::Listener),
            2 => Some(Self::Control(object)),
            3 => Some(Self::Output(process, object)),
            4 => Some(Self::Input(process)),
            6 => Some(Self::Memory),
            5 => Some(Self::Client(process, object)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        let tokens = [
            Token::Signals,
            Token::Memory,
            Token::Listener,
            Token::Control(7),
            Token::Output(3, 1),
            Token::Input(0x0FFF_FFFF),
            Token::Client(2, u32::MAX),
        ];
        for token in tokens {
            assert_eq!(Token::unpack(token.pack().u64()), Some(token));
        }
        assert_eq!(Token::unpack(u64::MAX), None);
    }
}
