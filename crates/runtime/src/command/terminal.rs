//! The terminal of a container in our foreground: what goes through it, its size, our own terminal meanwhile.
//!
//! ```text
//! our stdin  ──> Way ──> master of the container's terminal
//! our stdout <── Way <── master
//! ```
//!
//! Nothing here waits for anything, except the end of it all: a container that does not read must keep nobody from
//! reading what it writes, and neither may keep signals from it. So a way gets more only when it is empty, and whoever
//! polls does so for all at once.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::termios::{OptionalActions, Termios};
use rustix::time::Timespec;

/// How much is read at once.
const ROOM: usize = 16 * 1024;
/// How much is written at once: a pipe or terminal that says that it takes something takes that much without blocking.
/// Our standard output is also others', who might not expect it to be non-blocking.
const PIECE: usize = 1024;

/// A terminal while we serve it.
pub(super) struct Terminal {
    master: OwnedFd,
    input: Way,
    output: Way,
    _raw: RawTerminal,
}

impl Terminal {
    pub(super) fn serve(master: OwnedFd) -> Self {
        // Nobody else has it. Where this fails, a write still only follows a poll.
        let _ = rustix::fs::fcntl_setfl(&master, OFlags::NONBLOCK);
        let terminal = Self { master, input: Way::new(), output: Way::new(), _raw: RawTerminal::enter() };
        terminal.copy_size();
        terminal
    }

    pub(super) fn copy_size(&self) {
        // A standard input that is no terminal has no size to copy.
        if let Ok(size) = rustix::termios::tcgetwinsize(rustix::stdio::stdin()) {
            let _ = rustix::termios::tcsetwinsize(&self.master, size);
        }
    }

    /// What input and output wait for, if anything. Without output there is nobody to give input to.
    pub(super) fn waits(&self) -> [Option<PollFd<'_>>; 2] {
        if !self.output.open {
            return [None, None];
        }
        let master = self.master.as_fd();
        [self.input.waits(rustix::stdio::stdin(), master), self.output.waits(master, rustix::stdio::stdout())]
    }

    /// Whether there is input that the terminal takes later. The kernel does not tell of every bit of room that it gets
    /// there.
    pub(super) fn holds_input(&self) -> bool {
        self.output.open && self.input.open && !self.input.rest.is_empty()
    }

    /// Goes on with input and output after what they waited for.
    pub(super) fn step(&mut self, [input, output]: [bool; 2]) {
        let master = self.master.as_fd();
        if output {
            self.output.step(master, rustix::stdio::stdout());
        }
        if input {
            self.input.step(rustix::stdio::stdin(), master);
        }
    }

    /// Writes what the terminal still holds when its last user is gone.
    pub(super) fn drain(mut self) {
        let (master, stdout) = (self.master.as_fd(), rustix::stdio::stdout());
        while let Some(waits) = self.output.waits(master, stdout) {
            let now = Timespec::default();
            // Nothing more comes, but what is there is written however long that takes.
            let limit = self.output.rest.is_empty().then_some(&now);
            let mut ready = [waits];
            if !rustix::io::retry_on_intr(|| poll(&mut ready, limit)).is_ok_and(|count| count > 0) {
                return;
            }
            self.output.step(master, stdout);
        }
    }
}

/// One direction, and what is on its way there.
struct Way {
    open: bool,
    buffer: Box<[u8]>,
    /// What of the buffer is not written yet.
    rest: Range<usize>,
}

impl Way {
    fn new() -> Self {
        Self { open: true, buffer: vec![0; ROOM].into(), rest: 0..0 }
    }

    fn waits<'a>(&self, from: BorrowedFd<'a>, to: BorrowedFd<'a>) -> Option<PollFd<'a>> {
        let wait = match self.rest.is_empty() {
            true => PollFd::from_borrowed_fd(from, PollFlags::IN),
            false => PollFd::from_borrowed_fd(to, PollFlags::OUT),
        };
        self.open.then_some(wait)
    }

    /// Reads or writes once, as it has waited for.
    fn step(&mut self, from: BorrowedFd<'_>, to: BorrowedFd<'_>) {
        let done = match self.rest.is_empty() {
            true => rustix::io::read(from, &mut *self.buffer).map(|count| {
                self.rest = 0..count;
                count > 0
            }),
            false => {
                let end = self.rest.end.min(self.rest.start + PIECE);
                rustix::io::write(to, &self.buffer[self.rest.start..end]).map(|count| {
                    self.rest.start += count;
                    true
                })
            }
        };
        self.open = match done {
            Ok(open) => open,
            Err(errno) => matches!(errno, Errno::AGAIN | Errno::INTR),
        };
    }
}

/// Our own terminal, raw until this is dropped.
struct RawTerminal(Option<Termios>);

impl RawTerminal {
    fn enter() -> Self {
        let stdin = rustix::stdio::stdin();
        let Ok(before) = rustix::termios::tcgetattr(stdin) else { return Self(None) };
        let mut raw = before.clone();
        raw.make_raw();
        match rustix::termios::tcsetattr(stdin, OptionalActions::Drain, &raw) {
            Ok(()) => Self(Some(before)),
            Err(_) => Self(None),
        }
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // Nothing more can be done for a terminal that is gone.
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, before);
        }
    }
}
