//! `POST /images/load`: the images of an archive that `save` made.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use barge_api::events::action;
use barge_api::progress::JsonMessage;
use barge_oci::Reference;
use barge_store::Loaded;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::messages::{self, Messages, Sink};
use super::{Body, Images, blocking, publish, refusal};
use crate::engine::Engine;
use crate::error::Result;

const INTERVAL: Duration = Duration::from_millis(100);

/// Whether to tell how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    Quiet,
    Progress,
}

impl Images {
    /// Takes in what `body` has.
    ///
    /// # Errors
    /// If it is no archive, before the first line.
    pub async fn load(&self, engine: &Arc<Engine>, body: Body, verbosity: Verbosity) -> Result<Messages> {
        let engine = Arc::clone(engine);
        let store = self.store.clone();
        Messages::start(|sink| async move {
            let reader = SyncIoBridge::new(StreamReader::new(body));
            let shown = sink.clone();
            let loaded = blocking("loading images", move || {
                let ticker = Ticker::new(shown, "Loading layer");
                let show = |bytes| {
                    if verbosity == Verbosity::Progress {
                        ticker.show(bytes)
                    }
                };
                store.load(reader, &show).map_err(refusal::store)
            });
            for image in loaded.await? {
                announce(&engine, &sink, &image).await?;
            }
            Ok(())
        })
        .await
    }
}

async fn announce(engine: &Engine, sink: &Sink, loaded: &Loaded) -> Result<()> {
    let id = &loaded.image;
    let mut names: Vec<String> = loaded.names.iter().map(Reference::familiar).collect();
    names.sort();
    let lines = match names.is_empty() {
        true => vec![format!("Loaded image ID: {id}\n")],
        false => names.iter().map(|name| format!("Loaded image: {name}\n")).collect(),
    };
    publish(engine, action::LOAD, id, names.first().unwrap_or(&id.to_string()));
    for stream in lines {
        sink.send(JsonMessage { stream, ..JsonMessage::default() }).await?;
    }
    Ok(())
}

/// Shows how many bytes were read, ten times a second at most, from a thread that may block.
pub(super) struct Ticker {
    sink: Sink,
    status: &'static str,
    last: Mutex<Option<Instant>>,
}

impl Ticker {
    pub(super) fn new(sink: Sink, status: &'static str) -> Self {
        Self { sink, status, last: Mutex::new(None) }
    }

    pub(super) fn show(&self, bytes: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= INTERVAL) {
            *last = Some(Instant::now());
            self.sink.send_blocking(messages::progress("", self.status, bytes, 0));
        }
    }
}
