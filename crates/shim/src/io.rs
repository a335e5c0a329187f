//! The standard streams of one process, and the clients that are joined to them.
//!
//! ```text
//! stdout, stderr or terminal ──> log, then every client that wants it     (io.rs)
//! client sockets             ──> detach keys ──> stdin or terminal        (io/client.rs, detach.rs, input.rs)
//! ```
//!
//! Nothing blocks. A client that reads slowly gets up to 64 KiB of memory here; then the process's output waits
//! for it, as in Docker. So the log never misses a line, and a client misses one only by leaving.
//! The descriptors of a process exist from `connect` on; clients may be there before.

mod client;
mod detach;
mod input;
mod stdio;

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use crate::config::Stdin;
use crate::logs::{Driver, Stream};
use crate::poller::{Interest, Poller, Ready, Token};
use crate::protocol::Attach;
use crate::record::report;
use client::{Client, Heard};
use input::Input;
pub(crate) use stdio::{Ends, pipes};

/// The size of the one buffer that every copy goes through.
pub(crate) const BUFFER: usize = 32 * 1024;

/// Reads of one stream before others have their turn.
const TURN: usize = 8;

/// The streams of one process.
pub(crate) struct Streams {
    /// The process's number in tokens.
    number: u32,
    stdin: Stdin,
    terminal: bool,
    log: Option<Box<dyn Driver>>,
    log_failed: bool,
    outputs: Vec<Output>,
    input: Input,
    console: Option<OwnedFd>,
    clients: Vec<Client>,
    next_client: u32,
}

/// One stream that the process writes to.
struct Output {
    stream: Stream,
    fd: OwnedFd,
    /// Whether it is in the poller: not while a client is full.
    watched: bool,
}

/// A client that has typed its detach keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Detached {
    pub(crate) attach: u64,
}

impl Streams {
    pub(crate) fn new(number: u32, stdin: Stdin, terminal: bool, log: Option<Box<dyn Driver>>) -> Self {
        Self {
            number,
            stdin,
            terminal,
            log,
            log_failed: false,
            outputs: Vec::new(),
            input: Input::Waiting,
            console: None,
            clients: Vec::new(),
            next_client: 0,
        }
    }

    /// Joins a client. What the process writes from now on goes to it.
    pub(crate) fn attach(&mut self, poller: &Poller, attach: &Attach, socket: OwnedFd) {
        let token = Token::Client(self.number, self.next_client);
        self.next_client = self.next_client.wrapping_add(1);
        self.clients.push(Client::new(attach, socket, token, self.stdin != Stdin::Closed));
        self.watch_clients(poller);
    }

    /// Takes the daemon's ends of the process's streams: it is about to run.
    pub(crate) fn connect(&mut self, poller: &Poller, ends: Ends, buffer: &mut [u8]) {
        self.input = match ends.input {
            Some(fd) if self.stdin != Stdin::Closed => Input::open(fd, Token::Input(self.number)),
            _ => Input::Closed,
        };
        self.console = ends.console;
        self.outputs =
            ends.outputs.into_iter().map(|(stream, fd)| Output { stream, fd, watched: false }).collect();
        self.watch_outputs(poller);
        self.hear_leaving(poller, buffer);
        self.watch_clients(poller);
    }

    /// Copies what the process has written, as long as every client keeps up. True when there may be more at once.
    pub(crate) fn on_output(&mut self, poller: &Poller, which: u32, buffer: &mut [u8]) -> bool {
        let more = self.copy_output(poller, which, buffer);
        self.hear_leaving(poller, buffer);
        self.watch_outputs(poller);
        more
    }

    fn copy_output(&mut self, poller: &Poller, which: u32, buffer: &mut [u8]) -> bool {
        let stream = if which == 0 { Stream::Stdout } else { Stream::Stderr };
        for _ in 0..TURN {
            if self.is_held(stream) {
                return false;
            }
            let Some(index) = self.outputs.iter().position(|output| output.stream == stream) else {
                return false;
            };
            match rustix::io::read(&self.outputs[index].fd, &mut buffer[..]) {
                Ok(read) if read > 0 => self.spread(poller, stream, &buffer[..read]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                // The end; for a terminal whose last user has gone it is EIO.
                Ok(_) | Err(_) => {
                    let output = self.outputs.swap_remove(index);
                    if output.watched {
                        poller.delete(&output.fd);
                    }
                    return false;
                }
            }
        }
        true
    }

    /// The process's standard input takes bytes again.
    pub(crate) fn on_input(&mut self, poller: &Poller, buffer: &mut [u8]) {
        self.input.flush(poller);
        self.hear_leaving(poller, buffer);
        self.watch_clients(poller);
    }

    /// Hears and serves a client.
    pub(crate) fn on_client(
        &mut self,
        poller: &Poller,
        number: u32,
        ready: Ready,
        buffer: &mut [u8],
    ) -> Option<Detached> {
        let token = Token::Client(self.number, number);
        let index = self.clients.iter().position(|client| client.token == token)?;
        let client = &mut self.clients[index];
        if ready.write {
            client.flush();
        }
        let mut detached = None;
        if ready.read && self.input.takes() {
            detached = self.hear(poller, index, buffer);
        } else if ready.hangup {
            self.clients[index].hung_up(poller);
        }
        // The process's input may have become free since the event was made: no other one would follow.
        self.hear_leaving(poller, buffer);
        self.watch_clients(poller);
        self.watch_outputs(poller);
        detached
    }

    /// Reads once from a client and passes it on.
    fn hear(&mut self, poller: &Poller, index: usize, buffer: &mut [u8]) -> Option<Detached> {
        let client = &mut self.clients[index];
        match client.hear(buffer) {
            Heard::Bytes(bytes) => self.input.write(poller, bytes),
            Heard::Detach(bytes) => {
                self.input.write(poller, bytes);
                client.close_when_flushed();
                return Some(Detached { attach: client.attach });
            }
            Heard::Nothing => {}
            Heard::End => {
                self.input.write(poller, client.held());
                // Docker closes the process's input once, and otherwise ends the session of the client.
                if self.stdin == Stdin::Once && !self.terminal {
                    self.input.close();
                } else {
                    client.close_when_flushed();
                }
            }
        }
        None
    }

    /// Reads what clients that are gone have left behind, as far as the process takes it.
    fn hear_leaving(&mut self, poller: &Poller, buffer: &mut [u8]) {
        while self.input.takes() {
            let Some(index) = self.clients.iter().position(Client::is_leaving) else { return };
            // Who has gone has no use for being told that it typed its detach keys.
            let _ = self.hear(poller, index, buffer);
            if !self.clients[index].is_leaving() {
                self.clients[index].drop_out(poller);
            }
        }
    }

    /// Closes the process's standard input; a terminal has no way to.
    pub(crate) fn close_stdin(&mut self) {
        if !self.terminal {
            self.input.close();
        }
    }

    /// The terminal's master, if the process has one and runs.
    pub(crate) fn console(&self) -> Option<&OwnedFd> {
        self.console.as_ref()
    }

    /// Copies what is left without waiting. True when the streams have ended.
    pub(crate) fn drain(&mut self, poller: &Poller, buffer: &mut [u8]) -> bool {
        for which in 0..2 {
            // A process that isn't of the container may hold the other end and write for ever: a bounded number.
            for _ in 0..16 {
                if !self.on_output(poller, which, buffer) {
                    break;
                }
            }
        }
        self.outputs.is_empty()
    }

    /// Gives clients that do not keep up no more time, copies what is left to the log, and closes the streams.
    pub(crate) fn cut_off(&mut self, poller: &Poller, buffer: &mut [u8]) {
        for client in self.clients.iter_mut().filter(|client| client.is_full()) {
            client.drop_out(poller);
        }
        self.clients.retain(Client::is_there);
        self.drain(poller, buffer);
        self.outputs.clear();
    }

    /// The log is complete.
    pub(crate) fn close_log(&mut self) {
        if let Some(mut log) = self.log.take() {
            note_failure(&mut self.log_failed, log.close());
        }
    }

    /// Lets every client go as soon as it has what is its due.
    pub(crate) fn finish(&mut self, poller: &Poller) {
        self.input = Input::Closed;
        self.console = None;
        for client in &mut self.clients {
            client.close_when_flushed();
        }
        self.watch_clients(poller);
    }

    /// Whether clients are left that have not read everything yet.
    pub(crate) fn has_clients(&self) -> bool {
        !self.clients.is_empty()
    }

    fn spread(&mut self, poller: &Poller, stream: Stream, bytes: &[u8]) {
        if let Some(log) = &mut self.log {
            note_failure(&mut self.log_failed, log.write(stream, bytes));
        }
        if self.clients.is_empty() {
            return;
        }
        for client in &mut self.clients {
            client.send(stream, bytes);
        }
        self.watch_clients(poller);
    }

    /// Whether a client that wants this stream has not read enough of it.
    fn is_held(&self, stream: Stream) -> bool {
        self.clients.iter().any(|client| client.wants(stream) && client.is_full())
    }

    fn watch_outputs(&mut self, poller: &Poller) {
        for index in 0..self.outputs.len() {
            let held = self.is_held(self.outputs[index].stream);
            let output = &mut self.outputs[index];
            let which = match output.stream {
                Stream::Stdout => 0,
                Stream::Stderr => 1,
            };
            if held && output.watched {
                // Out of the poller altogether: a hang-up is reported even to those who wait for nothing.
                poller.delete(&output.fd);
                output.watched = false;
            } else if !held && !output.watched {
                let token = Token::Output(self.number, which);
                output.watched = poller.add(&output.fd, token, Interest::READ).is_ok();
            }
        }
    }

    fn watch_clients(&mut self, poller: &Poller) {
        let takes = self.input.takes();
        for client in &mut self.clients {
            client.watch(poller, takes);
        }
        self.clients.retain(Client::is_there);
    }
}

/// Says once that a log can't be written; the container goes on.
fn note_failure(failed: &mut bool, result: std::io::Result<()>) {
    if let Err(error) = result
        && !std::mem::replace(failed, true)
    {
        report(&format!("write the container's log: {error}"));
    }
}
