//! One attached client: a socket that was handed over by the daemon.
//!
//! The socket's blocking mode is left alone, since others may hold it too: every call says for itself that it must
//! not block. What can't be sent at once is kept, up to a limit at which the process's output waits.

use std::io::IoSlice;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown};

use super::BUFFER;
use super::detach::DetachKeys;
use crate::framing::{Stream, header};
use crate::poller::{Interest, Poller, Token};
use crate::protocol::{Attach, Framing};

/// With this much unsent a client is full; one more piece may come, so that it never holds more than 64 KiB.
const FULL: usize = 32 * 1024;

/// A client.
pub(super) struct Client {
    pub(super) token: Token,
    /// The daemon's number for it.
    pub(super) attach: u64,
    socket: OwnedFd,
    stdin: Hearing,
    stdout: bool,
    stderr: bool,
    framing: Framing,
    detach: DetachKeys,
    /// What the socket has not taken yet.
    unsent: Vec<u8>,
    /// How it stands in the poller; none: not there.
    watched: Option<Interest>,
    phase: Phase,
    typed: Vec<u8>,
}

/// Whether what it sends is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hearing {
    /// It is read as long as the process takes it.
    Open,
    /// It has gone, perhaps with bytes still to be read: these are read as the process takes them.
    Leaving,
    /// It is not read, or has ended.
    Closed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Joined,
    /// No more output is for it; it is closed when everything is sent.
    Closing,
    /// Not there any more.
    Gone,
}

/// What came from a client.
pub(super) enum Heard<'a> {
    /// Bytes for the process.
    Bytes(&'a [u8]),
    /// The last bytes for the process before the detach keys.
    Detach(&'a [u8]),
    /// Nothing yet.
    Nothing,
    /// It will send no more.
    End,
}

impl Client {
    pub(super) fn new(attach: &Attach, socket: OwnedFd, token: Token, has_stdin: bool) -> Self {
        Self {
            token,
            attach: attach.id,
            socket,
            stdin: if attach.stdin && has_stdin { Hearing::Open } else { Hearing::Closed },
            stdout: attach.stdout,
            stderr: attach.stderr,
            framing: attach.framing,
            detach: DetachKeys::new(attach.detach_keys.clone().unwrap_or_default()),
            unsent: Vec::new(),
            watched: None,
            phase: Phase::Joined,
            typed: Vec::new(),
        }
    }

    pub(super) fn wants(&self, stream: Stream) -> bool {
        self.phase == Phase::Joined
            && match stream {
                Stream::Stdout => self.stdout,
                Stream::Stderr => self.stderr,
            }
    }

    pub(super) fn is_full(&self) -> bool {
        self.unsent.len() > FULL
    }

    pub(super) fn is_there(&self) -> bool {
        self.phase != Phase::Gone
    }

    /// Sends a piece of output if it wants it, or keeps what it does not take at once.
    pub(super) fn send(&mut self, stream: Stream, bytes: &[u8]) {
        if !self.wants(stream) {
            return;
        }
        let header = header(stream, bytes.len());
        let header: &[u8] = match self.framing {
            Framing::Raw => &[],
            Framing::Multiplexed => &header,
        };
        let sent = if self.unsent.is_empty() { self.try_send(header, bytes) } else { 0 };
        self.unsent.extend_from_slice(&header[sent.min(header.len())..]);
        self.unsent.extend_from_slice(&bytes[sent.saturating_sub(header.len())..]);
    }

    /// Sends what was kept.
    pub(super) fn flush(&mut self) {
        if !self.unsent.is_empty() {
            let unsent = std::mem::take(&mut self.unsent);
            let sent = self.try_send(&[], &unsent);
            self.unsent = if sent < unsent.len() { unsent[sent..].to_vec() } else { Vec::new() };
        }
    }

    /// How much the socket takes now. A client that is gone takes everything.
    fn try_send(&mut self, header: &[u8], bytes: &[u8]) -> usize {
        let pieces = [IoSlice::new(header), IoSlice::new(bytes)];
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        match rustix::net::sendmsg(&self.socket, &pieces, &mut SendAncillaryBuffer::default(), flags) {
            Ok(sent) => sent,
            Err(Errno::AGAIN | Errno::INTR | Errno::NOBUFS) => 0,
            Err(_) => {
                self.leave();
                header.len() + bytes.len()
            }
        }
    }

    /// Reads once.
    pub(super) fn hear<'a>(&'a mut self, buffer: &'a mut [u8]) -> Heard<'a> {
        if self.stdin == Hearing::Closed {
            return Heard::Nothing;
        }
        // Half the buffer: with what was held back for the detach keys it is still one pipe's worth.
        let read = match rustix::net::recv(&self.socket, &mut buffer[..BUFFER / 2], RecvFlags::DONTWAIT) {
            Ok((read, _)) => read,
            Err(Errno::AGAIN | Errno::INTR) if self.stdin == Hearing::Open => return Heard::Nothing,
            Err(_) => 0,
        };
        if read == 0 {
            self.stdin = Hearing::Closed;
            return Heard::End;
        }
        if self.detach.is_empty() {
            return Heard::Bytes(&buffer[..read]);
        }
        self.typed.clear();
        let detaches = self.detach.filter(&buffer[..read], &mut self.typed);
        if detaches { Heard::Detach(&self.typed) } else { Heard::Bytes(&self.typed) }
    }

    /// What was held back when the client's input ended in the middle of its detach keys.
    pub(super) fn held(&mut self) -> &[u8] {
        self.detach.take_held()
    }

    /// Both directions are closed: output can't reach it, but what it has sent may be unread.
    pub(super) fn hung_up(&mut self, poller: &Poller) {
        self.leave();
        self.unwatch(poller);
    }

    /// It gets no more. What it has sent and its end still count if they were for the process.
    fn leave(&mut self) {
        if self.stdin == Hearing::Closed {
            return self.lose();
        }
        self.stdin = Hearing::Leaving;
        (self.stdout, self.stderr) = (false, false);
        self.unsent = Vec::new();
    }

    /// Whether it has left behind bytes that only wait for the process to take them.
    pub(super) fn is_leaving(&self) -> bool {
        self.stdin == Hearing::Leaving
    }

    /// No more output is for it; it goes when it has got what there is.
    pub(super) fn close_when_flushed(&mut self) {
        if self.phase == Phase::Joined {
            self.phase = Phase::Closing;
            self.stdin = Hearing::Closed;
        }
    }

    /// Lets it go at once.
    pub(super) fn drop_out(&mut self, poller: &Poller) {
        self.unwatch(poller);
        self.lose();
    }

    fn lose(&mut self) {
        self.phase = Phase::Gone;
        self.stdin = Hearing::Closed;
        self.unsent = Vec::new();
    }

    /// Brings the poller up to date with what is waited for, and ends what can end.
    pub(super) fn watch(&mut self, poller: &Poller, input_takes: bool) {
        if self.phase == Phase::Closing && self.unsent.is_empty() {
            self.bid_farewell();
            self.phase = Phase::Gone;
        }
        if self.phase == Phase::Gone {
            return self.unwatch(poller);
        }
        if self.is_leaving() {
            return self.unwatch(poller);
        }
        let wanted =
            Interest { read: self.stdin == Hearing::Open && input_takes, write: !self.unsent.is_empty() };
        let watched = match self.watched {
            Some(watched) if watched == wanted => return,
            Some(_) => poller.modify(&self.socket, self.token, wanted),
            None => poller.add(&self.socket, self.token, wanted),
        };
        match watched {
            Ok(()) => self.watched = Some(wanted),
            Err(_) => self.lose(),
        }
    }

    fn unwatch(&mut self, poller: &Poller) {
        if self.watched.take().is_some() {
            poller.delete(&self.socket);
        }
    }

    /// Ends the stream for the client, whoever else holds the socket.
    ///
    /// What it has sent in vain is read first: closing a socket with unread bytes would reset the connection, and the
    /// client might lose the end of the output.
    fn bid_farewell(&self) {
        let mut rest = [0_u8; 4096];
        for _ in 0..16 {
            match rustix::net::recv(&self.socket, &mut rest[..], RecvFlags::DONTWAIT) {
                Ok((read, _)) if read > 0 => {}
                _ => break,
            }
        }
        // It may be gone already.
        let _ = rustix::net::shutdown(&self.socket, Shutdown::Write);
    }
}
