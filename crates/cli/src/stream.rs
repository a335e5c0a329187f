//! A container's streams at our terminal: copying, raw mode, detach keys, signals, sizes.

mod detach_keys;
pub(crate) mod signals;
mod stdin;
pub(crate) mod terminal;

use std::io::{self, Write};

use barge_api::framing::StreamKind;
use barge_client::{Hijacked, Input, Output};

use crate::failure::{Failure, Result, reason};
use detach_keys::{Matcher, Step};
pub(crate) use stdin::Stdin;

/// What a program ended by SIGPIPE leaves with.
const BROKEN_PIPE: i64 = 128 + 13;

/// Which of our streams a container's are tied to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wiring {
    pub(crate) stdin: bool,
    /// Whether the container has a terminal: its output is raw, and ours is put into raw mode.
    pub(crate) terminal: bool,
    /// Keys that detach; empty takes Docker's.
    pub(crate) detach_keys: String,
}

/// Why copying ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The container closed its output.
    Closed,
    /// The user typed the detach keys.
    Detached,
}

/// Copies both ways until the container's output ends or the user detaches.
pub(crate) async fn copy(hijacked: Hijacked, wiring: Wiring) -> Result<Ended> {
    let (output, input) = hijacked.split(wiring.terminal);
    if !wiring.stdin {
        // Keep the input's half open: closing it could be taken for the end of an interactive session.
        let _input = input;
        return copy_output(output).await.map(|()| Ended::Closed);
    }
    let _raw = if wiring.terminal { terminal::RawMode::enter()? } else { None };
    let mut keys = wiring.terminal.then(|| Matcher::new(&wiring.detach_keys));
    let mut output = std::pin::pin!(copy_output(output));
    tokio::select! {
        done = &mut output => done.map(|()| Ended::Closed),
        step = copy_input(input, &mut keys) => match step {
            Ended::Detached => Ok(Ended::Detached),
            Ended::Closed => output.await.map(|()| Ended::Closed),
        },
    }
}

/// Copies our input until it ends or the detach keys come.
async fn copy_input(mut input: Input, keys: &mut Option<Matcher>) -> Ended {
    let mut stdin = Stdin::open();
    while let Some(bytes) = stdin.next().await {
        let (bytes, detached) = match keys {
            None => (bytes, false),
            Some(keys) => match keys.feed(&bytes) {
                Step::Forward(bytes) => (bytes, false),
                Step::Detach(bytes) => (bytes, true),
            },
        };
        // A container that closed its input still has output for us.
        if !bytes.is_empty() && input.write(&bytes).await.is_err() {
            return Ended::Closed;
        }
        if detached {
            return Ended::Detached;
        }
    }
    let _ = input.close().await;
    Ended::Closed
}

/// Copies a container's output to ours, as few writes as the pieces at hand allow.
pub(crate) async fn copy_output(mut output: Output) -> Result<()> {
    let mut batch = Vec::new();
    while let Some((mut kind, piece)) = output.next().await? {
        batch.extend_from_slice(&piece);
        while let Some((next, piece)) = output.ready()? {
            if next != kind {
                flush(kind, &mut batch)?;
                kind = next;
            }
            batch.extend_from_slice(&piece);
        }
        flush(kind, &mut batch)?;
    }
    Ok(())
}

fn flush(kind: StreamKind, batch: &mut Vec<u8>) -> Result<()> {
    let written = match kind {
        StreamKind::Stderr => io::stderr().lock().write_all(batch),
        _ => {
            // Past the line buffer of the standard library: the pieces are large already.
            terminal::write_stdout(batch)
        }
    };
    batch.clear();
    written.map_err(|error| match error.kind() {
        // A pager that was left is no failure to tell about; shells know the status of a broken pipe.
        io::ErrorKind::BrokenPipe => Failure::status(BROKEN_PIPE),
        _ => Failure::new(format!("write: {}", reason(&error))),
    })
}
