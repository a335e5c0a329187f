//! Signals sent to us while a container runs: passed on to it. Changes of the terminal's size: passed on too.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, Result};
use crate::stream::terminal;

/// What is passed on, with the names the API takes.
const FORWARDED: [(i32, &str); 7] =
    [(1, "HUP"), (2, "INT"), (3, "QUIT"), (10, "USR1"), (12, "USR2"), (14, "ALRM"), (15, "TERM")];

/// Caught signals; from then on they do not end us.
#[derive(Debug)]
pub(crate) struct Caught {
    signals: Vec<(Signal, &'static str)>,
}

impl Caught {
    /// Begins to catch.
    pub(crate) fn begin() -> Result<Self> {
        let catch = |(number, name)| Ok((signal(SignalKind::from_raw(number))?, name));
        let signals = FORWARDED.into_iter().map(catch).collect::<io::Result<_>>();
        let signals = signals.map_err(|error| Failure::new(format!("cannot catch signals: {error}")))?;
        Ok(Self { signals })
    }

    /// The next signal's name.
    pub(crate) async fn next(&mut self) -> &'static str {
        std::future::poll_fn(|cx| {
            for (signal, name) in &mut self.signals {
                if signal.poll_recv(cx).is_ready() {
                    return std::task::Poll::Ready(*name);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// The next signal's name; never one if none are caught.
pub(crate) async fn next(caught: &mut Option<Caught>) -> &'static str {
    match caught {
        Some(caught) => caught.next().await,
        None => std::future::pending().await,
    }
}

/// Calls `resize` with rows and columns now and whenever our terminal's size changes. Never returns.
pub(crate) async fn follow_size<F: Future<Output = bool>>(resize: impl Fn(u16, u16) -> F) {
    let changes = signal(SignalKind::window_change());
    // The process may not be there yet just after its start.
    for pause in [0, 10, 20, 50, 100, 200, 500] {
        tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        match terminal::size(&io::stdout()) {
            Some((rows, columns)) if !resize(rows, columns).await => {}
            _ => break,
        }
    }
    if let Ok(mut changes) = changes {
        while changes.recv().await.is_some() {
            if let Some((rows, columns)) = terminal::size(&io::stdout()) {
                resize(rows, columns).await;
            }
        }
    }
    std::future::pending().await
}
