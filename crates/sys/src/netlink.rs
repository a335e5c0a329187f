//! A thin synchronous netlink socket: bytes in, acknowledgements out.
//!
//! ```text
//! route:      [message ACK] [message ACK] …            one datagram, each message answered
//! netfilter:  [BEGIN] [message] … [message ACK] [END]  all or nothing, errors name their message
//! ```
//!
//! The bodies are made and read by the callers (`network` uses the netlink-packet crates);
//! here are only the headers, the sequence numbers and the kernel's extended error texts.
//! A socket belongs to the network namespace in which it was opened, for ever.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, sockopt};

use crate::netns;

mod wire;

use wire::Answer;
pub use wire::flags;

/// Which part of the kernel a socket talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `NETLINK_ROUTE`: links, addresses, routes.
    Route,
    /// `NETLINK_NETFILTER`: nf_tables and conntrack.
    Netfilter,
}

/// One message without its header fields that only the socket knows (length, sequence).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// `nlmsg_type`.
    pub kind: u16,
    /// `NLM_F_*` beside `REQUEST`, which is always set.
    pub flags: u16,
    /// What follows the netlink header.
    pub body: Vec<u8>,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket could not be opened or set up.
    #[error("netlink socket: {source}")]
    Open { source: io::Error },
    /// The kernel did not take the datagram.
    #[error("netlink send: {source}")]
    Send { source: io::Error },
    /// No answer came, or it could not be read.
    #[error("netlink receive: {source}")]
    Receive { source: io::Error },
    /// The kernel refused message number `index` (from 0) of the request.
    #[error("{source}{}", explanation.as_ref().map(|text| format!(": {text}")).unwrap_or_default())]
    Refused { index: usize, source: io::Error, explanation: Option<String> },
    /// The answer is not netlink.
    #[error("netlink answer is malformed")]
    Malformed,
    /// The table changed while it was listed, so the listing may be torn.
    #[error("netlink listing was interrupted by a change")]
    Interrupted,
}

impl Error {
    /// The errno with which the kernel refused, or with which the socket failed.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Open { source }
            | Self::Send { source }
            | Self::Receive { source }
            | Self::Refused { source, .. } => source.raw_os_error(),
            Self::Malformed | Self::Interrupted => None,
        }
    }
}

/// Longest wait for an answer. The kernel answers within the system call itself, but for
/// nf_tables under contention; hanging for ever would be worse than an error.
const PATIENCE: Duration = Duration::from_secs(30);

/// Large enough for any datagram of a listing (the kernel makes them at most 32 KiB).
const RECEIVE_BUFFER: usize = 64 * 1024;

/// Batches larger than the default send buffer need a larger one.
const SEND_BUFFER: usize = 4 * 1024 * 1024;

/// One open netlink socket. Requests are answered in order, so it takes `&mut`.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open(family: Family) -> Result<Self, Error> {
        let protocol = match family {
            Family::Route => None,
            Family::Netfilter => Some(netlink::NETFILTER),
        };
        let fd =
            rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)
                .map_err(|error| Error::Open { source: error.into() })?;
        let set_up = || -> io::Result<()> {
            sockopt::set_socket_timeout(&fd, sockopt::Timeout::Recv, Some(PATIENCE))?;
            enable(fd.as_fd(), libc::NETLINK_EXT_ACK)?;
            enable(fd.as_fd(), libc::NETLINK_CAP_ACK)
        };
        set_up().map_err(|source| Error::Open { source })?;
        Ok(Self { fd, sequence: 0, buffer: Vec::new() })
    }

    /// Opens a socket in another network namespace; the calling thread stays where it is.
    pub fn open_in(family: Family, netns: BorrowedFd<'_>) -> Result<Self, Error> {
        netns::within(netns, || Self::open(family)).map_err(|source| Error::Open { source })?
    }

    /// Sends all messages in one datagram and waits until each is acknowledged. The kernel
    /// handles them in order and does not stop at a refused one; the first refusal is returned.
    pub fn request(&mut self, messages: &[Message]) -> Result<(), Error> {
        let first = self.sequence.wrapping_add(1);
        let mut datagram = Vec::with_capacity(512);
        for message in messages {
            self.sequence = self.sequence.wrapping_add(1);
            wire::append(
                &mut datagram,
                message.kind,
                message.flags | flags::ACK,
                self.sequence,
                &message.body,
            );
        }
        self.send(&datagram)?;
        let mut refusal = None;
        for _ in messages {
            let (sequence, answer) = self.acknowledgement(first)?;
            if let Some(error) = answer.refusal(sequence.wrapping_sub(first) as usize) {
                refusal.get_or_insert(error);
            }
        }
        refusal.map_or(Ok(()), Err)
    }

    /// Asks for one object and returns its message's type and body.
    pub fn query(&mut self, message: &Message) -> Result<(u16, Vec<u8>), Error> {
        let mut found = None;
        self.converse(message, flags::ACK, |kind, body| found = Some((kind, body.to_vec())))?;
        found.ok_or(Error::Malformed)
    }

    /// Lists objects: calls `each` with the type and body of every answer.
    pub fn dump(&mut self, message: &Message, each: impl FnMut(u16, &[u8])) -> Result<(), Error> {
        self.converse(message, flags::DUMP, each)
    }

    /// Sends an nf_tables transaction: all of `messages` take effect at once, or none does.
    /// A refusal's `index` is the message that the kernel did not like.
    pub fn batch(&mut self, messages: &[Message]) -> Result<(), Error> {
        let Some(last) = messages.len().checked_sub(1) else { return Ok(()) };
        let begin = self.sequence.wrapping_add(1);
        let mut datagram = Vec::with_capacity(1024);
        wire::append(&mut datagram, wire::BATCH_BEGIN, 0, begin, &wire::BATCH_OF_NFTABLES);
        for (index, message) in messages.iter().enumerate() {
            let acknowledge = if index == last { flags::ACK } else { 0 };
            let sequence = begin.wrapping_add(1 + index as u32);
            wire::append(&mut datagram, message.kind, message.flags | acknowledge, sequence, &message.body);
        }
        let end = begin.wrapping_add(2 + last as u32);
        wire::append(&mut datagram, wire::BATCH_END, 0, end, &wire::BATCH_OF_NFTABLES);
        self.sequence = end;
        if datagram.len() > 64 * 1024 {
            sockopt::set_socket_send_buffer_size_force(&self.fd, SEND_BUFFER)
                .map_err(|error| Error::Send { source: error.into() })?;
        }
        self.send(&datagram)?;
        let mut refusal = None;
        loop {
            let (sequence, answer) = self.acknowledgement(begin)?;
            // 0 is the frame itself: the commit as a whole failed.
            let position = sequence.wrapping_sub(begin) as usize;
            if let Some(error) = answer.refusal(position.saturating_sub(1)) {
                refusal.get_or_insert(error);
            }
            if position == 0 || position == last + 1 {
                return refusal.map_or(Ok(()), Err);
            }
        }
    }

    fn send(&self, datagram: &[u8]) -> Result<(), Error> {
        let sent = rustix::io::retry_on_intr(|| rustix::net::send(&self.fd, datagram, SendFlags::empty()))
            .map_err(|error| Error::Send { source: error.into() })?;
        if sent == datagram.len() { Ok(()) } else { Err(Error::Malformed) }
    }

    /// Next datagram into the buffer; its length.
    fn receive(&mut self) -> Result<usize, Error> {
        self.buffer.resize(RECEIVE_BUFFER, 0);
        let Self { fd, buffer, .. } = self;
        let (_, length) =
            rustix::io::retry_on_intr(|| rustix::net::recv(&*fd, buffer.as_mut_slice(), RecvFlags::TRUNC))
                .map_err(|error| Error::Receive { source: error.into() })?;
        if length > RECEIVE_BUFFER { Err(Error::Malformed) } else { Ok(length) }
    }

    /// Waits for the answer to a message sent at `first` or later; older ones are leftovers
    /// of a request that failed half way and are skipped.
    fn acknowledgement(&mut self, first: u32) -> Result<(u32, Answer), Error> {
        loop {
            let length = self.receive()?;
            for part in wire::parts(&self.buffer[..length]) {
                let part = part.ok_or(Error::Malformed)?;
                let fresh = self.sequence.wrapping_sub(part.sequence) <= self.sequence.wrapping_sub(first);
                if fresh && part.kind == wire::ERROR {
                    let answer = Answer::parse(&part).ok_or(Error::Malformed)?;
                    return Ok((part.sequence, answer));
                }
            }
        }
    }

    /// Sends one question and hands out its answers until the final word on it.
    fn converse(
        &mut self,
        message: &Message,
        mode: u16,
        mut each: impl FnMut(u16, &[u8]),
    ) -> Result<(), Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut datagram = Vec::with_capacity(256);
        wire::append(&mut datagram, message.kind, message.flags | mode, self.sequence, &message.body);
        self.send(&datagram)?;
        let mut torn = false;
        loop {
            let length = self.receive()?;
            for part in wire::parts(&self.buffer[..length]) {
                let part = part.ok_or(Error::Malformed)?;
                if part.sequence != self.sequence {
                    continue;
                }
                torn |= part.flags & flags::DUMP_INTERRUPTED != 0;
                if part.kind == wire::ERROR || part.kind == wire::DONE {
                    let answer = Answer::parse(&part).ok_or(Error::Malformed)?;
                    let verdict = if torn { Err(Error::Interrupted) } else { Ok(()) };
                    return answer.refusal(0).map_or(verdict, Err);
                }
                each(part.kind, part.body);
            }
        }
    }
}

/// Switches a boolean option of level `SOL_NETLINK` on.
fn enable(fd: BorrowedFd<'_>, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value is a live `c_int` on this frame and the length given is its size.
    let result = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_NETLINK,
            option,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
