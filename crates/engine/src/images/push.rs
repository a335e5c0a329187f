//! `POST /images/{name}/push`: a tag, or all tags of a repository.

use std::sync::Arc;

use barge_api::events::action;
use barge_api::images::PushResult;
use barge_api::progress::JsonMessage;
use barge_oci::Reference;
use barge_registry::{Credentials, Event, Progress, Pushed};

use super::messages::{Messages, Sink};
use super::pull::layer_line;
use super::{Images, PushOptions, auth, publish, refusal};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Images {
    /// Pushes, and tells how it goes.
    ///
    /// # Errors
    /// What is wrong before the first line: the name, or that no image has it.
    pub async fn push(&self, engine: &Arc<Engine>, name: &str, options: PushOptions) -> Result<Messages> {
        let references = self.references(name, &options.tag)?;
        let job = Job { engine: Arc::clone(engine), credentials: auth::credentials(options.auth) };
        Messages::start(|sink| async move {
            for reference in references {
                job.one(&sink, &reference).await?;
            }
            Ok(())
        })
        .await
    }

    fn references(&self, name: &str, tag: &str) -> Result<Vec<Reference>> {
        let mut reference = Reference::parse_named(name).map_err(refusal::invalid_reference)?;
        if reference.digest().is_some() {
            return Err(Error::invalid("cannot push a digest reference"));
        }
        if !tag.is_empty() {
            reference = reference.with_tag(tag).map_err(refusal::invalid_reference)?;
        }
        let mut known: Vec<Reference> =
            self.store.images().list().into_iter().flat_map(|image| image.tags).collect();
        known.retain(|tag| match reference.tag() {
            Some(_) => *tag == reference,
            None => tag.name() == reference.name(),
        });
        known.sort();
        if !known.is_empty() {
            return Ok(known);
        }
        Err(Error::not_found(match reference.tag() {
            Some(tag) => format!("tag does not exist: {}:{tag}", reference.familiar_name()),
            None => {
                format!("An image does not exist locally with the tag: {}", reference.familiar_name())
            }
        }))
    }
}

struct Job {
    engine: Arc<Engine>,
    credentials: Option<Credentials>,
}

impl Job {
    async fn one(&self, sink: &Sink, reference: &Reference) -> Result<()> {
        sink.status("", format!("The push refers to repository [{}]", reference.name())).await?;
        let (progress, mut events) = Progress::channel();
        let images = &self.engine.images;
        let push = async {
            let credentials = self.credentials.as_ref();
            let pushed = images.registry.push(&images.store, reference, credentials, &progress).await;
            drop(progress);
            pushed
        };
        let show = async {
            while let Some(event) = events.recv().await {
                if let Event::Layer { id, phase } = event {
                    sink.send(layer_line(&id, phase)).await?;
                }
            }
            Ok(())
        };
        let (pushed, shown): (_, Result<()>) = tokio::join!(push, show);
        shown?;
        let pushed = pushed.map_err(|error| refusal::registry(&error))?;
        self.finish(sink, reference, &pushed).await
    }

    async fn finish(&self, sink: &Sink, reference: &Reference, pushed: &Pushed) -> Result<()> {
        let tag = reference.tag().unwrap_or_default().to_owned();
        if let Ok(image) = self.engine.images.store.images().resolve(&reference.to_string()) {
            publish(&self.engine, action::PUSH, &image.id, &reference.familiar());
        }
        let digest = pushed.digest.to_string();
        sink.status("", format!("{tag}: digest: {digest} size: {}", pushed.size)).await?;
        let size = i64::try_from(pushed.size).unwrap_or(i64::MAX);
        let aux = serde_json::to_value(PushResult { tag, digest, size }).ok();
        // Docker's line has an empty detail, which clients take for the sign that it is for programs.
        let detail = Some(barge_api::progress::ProgressDetail::default());
        sink.send(JsonMessage { aux, progress_detail: detail, ..JsonMessage::default() }).await
    }
}
