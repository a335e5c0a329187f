//! Our standard input, read by a thread of its own.
//!
//! Readiness does not do: it cannot be asked of regular files, and non-blocking mode would be set for everybody who
//! shares the terminal. The thread ends with the process.

use std::io::Read;

use tokio::sync::mpsc;

const CHUNK: usize = 64 * 1024;

/// Pieces of standard input.
#[derive(Debug)]
pub(crate) struct Stdin {
    pieces: mpsc::Receiver<Vec<u8>>,
}

impl Stdin {
    /// Begins to read.
    pub(crate) fn open() -> Self {
        let (sender, pieces) = mpsc::channel(4);
        std::thread::spawn(move || {
            let mut stdin = std::io::stdin().lock();
            let mut buffer = vec![0; CHUNK];
            while let Ok(read @ 1..) = stdin.read(&mut buffer) {
                if sender.blocking_send(buffer[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { pieces }
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        self.pieces.recv().await
    }
}
