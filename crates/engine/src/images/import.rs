//! `POST /images/create?fromSrc=…`: a tar of a root filesystem becomes an image.

use std::sync::Arc;

use barge_api::events::action;
use barge_oci::{ContainerDefaults, ImageConfig, Platform, Reference};
use barge_store::Import;
use jiff::Timestamp;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::load::Ticker;
use super::messages::{Messages, Sink};
use super::{Body, Changes, Images, ImportOptions, blocking, publish, pull, refusal, tag};
use crate::engine::Engine;
use crate::error::Result;

impl Images {
    /// Imports, and tells how it goes; the last line is the new image's ID.
    ///
    /// # Errors
    /// What is wrong before the first line: name, changes, platform, source.
    pub async fn import(&self, engine: &Arc<Engine>, options: ImportOptions) -> Result<Messages> {
        let reference = match options.repository.as_str() {
            "" => None,
            repository => Some(tag::target(repository, &options.tag)?),
        };
        let platform = pull::parse_platform(&options.platform)?.unwrap_or_else(Platform::host);
        let mut defaults = ContainerDefaults::default();
        Changes::parse(&options.changes)?.apply(&mut defaults)?;
        let comment = match options.message.as_str() {
            "" => format!("Imported from {}", options.source),
            message => message.to_owned(),
        };
        let config = ImageConfig {
            created: Some(Timestamp::now()),
            architecture: platform.architecture,
            variant: platform.variant,
            os: platform.os,
            config: defaults,
            comment: comment.clone(),
            ..ImageConfig::default()
        };
        let job = Job {
            engine: Arc::clone(engine),
            import: Import { config, comment, reference },
            source: options.source,
            body: options.body,
        };
        Messages::start(|sink| job.run(sink)).await
    }
}

struct Job {
    engine: Arc<Engine>,
    import: Import,
    source: String,
    body: Body,
}

impl Job {
    async fn run(self, sink: Sink) -> Result<()> {
        let body = match self.source.as_str() {
            "-" => self.body,
            url => {
                // Docker takes a bare host and path for http.
                let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
                let download = self.engine.images.registry.download(&url).await;
                let download = download.map_err(|error| refusal::registry(&error))?;
                sink.status("", format!("Downloading from {url}")).await?;
                download
            }
        };
        let store = self.engine.images.store.clone();
        let reader = SyncIoBridge::new(StreamReader::new(body));
        let (shown, import) = (sink.clone(), self.import);
        let name = import.reference.as_ref().map(Reference::familiar);
        let image = blocking("importing", move || {
            let ticker = Ticker::new(shown, "Importing");
            let counted = Counted { reader, bytes: 0, ticker };
            store.import(counted, import).map_err(refusal::store)
        });
        let image = image.await?;
        let id = image.id.to_string();
        publish(&self.engine, action::IMPORT, &image.id, name.as_ref().unwrap_or(&id));
        sink.status("", id).await
    }
}

/// A reader that shows how far it is.
struct Counted<R> {
    reader: R,
    bytes: u64,
    ticker: Ticker,
}

impl<R: std::io::Read> std::io::Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.reader.read(buffer)?;
        self.bytes += read as u64;
        self.ticker.show(self.bytes);
        Ok(read)
    }
}
