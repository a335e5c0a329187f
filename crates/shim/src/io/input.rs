//! The writing end of a process's standard input: a pipe, or its terminal.

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::poller::{Interest, Poller, Token};

/// Where what clients type goes.
pub(super) enum Input {
    /// The process doesn't run yet: clients are not read.
    Waiting,
    /// It may be written to.
    Open(Pipe),
    /// It is closed: what clients send is read and thrown away.
    Closed,
}

/// An open standard input and what it has not taken yet.
pub(super) struct Pipe {
    fd: OwnedFd,
    token: Token,
    /// Not more than one read from a client. While there is any, the pipe is in the poller and clients wait.
    pending: Vec<u8>,
    /// Close it when the pending bytes are written.
    closing: bool,
}

impl Input {
    pub(super) fn open(fd: OwnedFd, token: Token) -> Self {
        Self::Open(Pipe { fd, token, pending: Vec::new(), closing: false })
    }

    /// Whether clients should be read.
    pub(super) fn takes(&self) -> bool {
        match self {
            Self::Waiting => false,
            Self::Open(pipe) => pipe.pending.is_empty(),
            Self::Closed => true,
        }
    }

    pub(super) fn write(&mut self, poller: &Poller, bytes: &[u8]) {
        let Self::Open(pipe) = self else { return };
        if pipe.closing || bytes.is_empty() {
            return;
        }
        match pipe.write(bytes) {
            Ok(written) if written == bytes.len() => {}
            Ok(written) => {
                pipe.pending.extend_from_slice(&bytes[written..]);
                if poller.add(&pipe.fd, pipe.token, Interest::WRITE).is_err() {
                    *self = Self::Closed;
                }
            }
            Err(_) => *self = Self::Closed,
        }
    }

    /// Writes what is pending now that it may be possible, or finds that nobody reads any more.
    pub(super) fn flush(&mut self, poller: &Poller) {
        let Self::Open(pipe) = self else { return };
        let pending = std::mem::take(&mut pipe.pending);
        match pipe.write(&pending) {
            Ok(written) if written < pending.len() => pipe.pending = pending[written..].to_vec(),
            Ok(_) => {
                poller.delete(&pipe.fd);
                if pipe.closing {
                    *self = Self::Closed;
                }
            }
            Err(_) => {
                poller.delete(&pipe.fd);
                *self = Self::Closed;
            }
        }
    }

    /// Closes it once everything is written.
    pub(super) fn close(&mut self) {
        match self {
            Self::Open(pipe) if !pipe.pending.is_empty() => pipe.closing = true,
            _ => *self = Self::Closed,
        }
    }
}

impl Pipe {
    /// Writes as much as it takes without blocking.
    fn write(&self, bytes: &[u8]) -> Result<usize, Errno> {
        let mut written = 0;
        while written < bytes.len() {
            match rustix::io::write(&self.fd, &bytes[written..]) {
                Ok(count) => written += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }
}
