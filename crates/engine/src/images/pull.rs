//! `POST /images/create?fromImage=…`: an image, or all tags of a repository.

use std::sync::Arc;

use barge_api::events::action;
use barge_api::progress::JsonMessage;
use barge_oci::{Platform, Reference};
use barge_registry::{Credentials, Event, Phase, Progress, Pulled, Status};

use super::messages::{self, Messages, Sink};
use super::{Images, PullOptions, auth, builtin, publish, refusal};
use crate::engine::Engine;
use crate::error::{Error, Result};

impl Images {
    /// Pulls, and tells how it goes.
    ///
    /// # Errors
    /// What is wrong before the first line: the name, the platform, the registry's refusal.
    pub async fn pull(&self, engine: &Arc<Engine>, options: PullOptions) -> Result<Messages> {
        let reference = reference(&options.from_image, &options.tag)?;
        let platform = parse_platform(&options.platform)?;
        let credentials = auth::credentials(options.auth);
        let engine = Arc::clone(engine);
        Messages::start(|sink| async move {
            let job = Job { engine, sink, platform, credentials };
            if builtin::is_hello(&reference.to_string()) {
                job.hello(&reference).await
            } else if reference.tag().is_some() || reference.digest().is_some() {
                job.one(&reference).await
            } else {
                job.all(&reference).await
            }
        })
        .await
    }
}

/// `fromImage` and `tag` put together; a digest in the name wins, as in Docker.
fn reference(from_image: &str, tag: &str) -> Result<Reference> {
    // Old clients end the name with a colon.
    let named = from_image.trim_end_matches(':');
    let reference = Reference::parse_named(named).map_err(refusal::invalid_reference)?;
    if tag.is_empty() || reference.digest().is_some() {
        return Ok(reference);
    }
    if let Ok(digest) = tag.parse() {
        return Ok(reference.with_digest(&digest));
    }
    reference.with_tag(tag).map_err(refusal::invalid_reference)
}

/// A platform as requests name it; `None` if empty.
pub(super) fn parse_platform(text: &str) -> Result<Option<Platform>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error: barge_oci::Error| Error::invalid(error.to_string()))
}

struct Job {
    engine: Arc<Engine>,
    sink: Sink,
    platform: Option<Platform>,
    credentials: Option<Credentials>,
}

impl Job {
    async fn all(&self, repository: &Reference) -> Result<()> {
        let registry = &self.engine.images.registry;
        let tags = registry.tags(repository, self.credentials.as_ref()).await;
        for tag in tags.map_err(|error| refusal::pull(repository, &error))? {
            let reference = repository.with_tag(&tag).map_err(refusal::invalid_reference)?;
            self.one(&reference).await?;
        }
        Ok(())
    }

    async fn one(&self, reference: &Reference) -> Result<()> {
        let (progress, mut events) = Progress::channel();
        let images = &self.engine.images;
        let pull = async {
            let pulled = images.registry.pull(
                &images.store,
                reference,
                self.platform.as_ref(),
                self.credentials.as_ref(),
                &progress,
            );
            let pulled = pulled.await;
            drop(progress);
            pulled
        };
        let show = async {
            while let Some(event) = events.recv().await {
                self.sink.send(line(reference, event)).await?;
            }
            Ok(())
        };
        let (pulled, shown): (_, Result<()>) = tokio::join!(pull, show);
        shown?;
        let pulled = pulled.map_err(|error| refusal::pull(reference, &error))?;
        self.finish(reference, &pulled).await
    }

    async fn finish(&self, reference: &Reference, pulled: &Pulled) -> Result<()> {
        let name = reference.familiar();
        publish(&self.engine, action::PULL, &pulled.image.id, &name);
        self.sink.status("", format!("Digest: {}", pulled.digest)).await?;
        let status = match pulled.status {
            Status::Newer => format!("Status: Downloaded newer image for {name}"),
            Status::UpToDate => format!("Status: Image is up to date for {name}"),
        };
        self.sink.status("", status).await
    }

    async fn hello(&self, reference: &Reference) -> Result<()> {
        let reference = reference.with_tag("latest").map_err(refusal::invalid_reference)?;
        let name = reference.familiar();
        let there = self.engine.images.store.images().resolve(&name).is_ok();
        let image = self.engine.images.resolve(&name).await?;
        publish(&self.engine, action::PULL, &image.id, &name);
        let status = if there { "Image is up to date" } else { "Built image" };
        self.sink.status("", format!("Status: {status} for {name}")).await
    }
}

fn line(reference: &Reference, event: Event) -> JsonMessage {
    let (id, phase) = match event {
        Event::Found => {
            let name = match (reference.digest(), reference.tag()) {
                (Some(digest), _) => digest.to_string(),
                (None, tag) => tag.unwrap_or_default().to_owned(),
            };
            // The repository as the registry's path has it: `library/busybox`.
            return JsonMessage::status(name, format!("Pulling from {}", reference.path()));
        }
        Event::Layer { id, phase } => (id, phase),
    };
    layer_line(&id, phase)
}

/// One layer's line, of a pull or a push.
pub(super) fn layer_line(id: &str, phase: Phase) -> JsonMessage {
    let plain = match phase {
        Phase::Downloading { current, total } => {
            return messages::progress(id, "Downloading", current, total);
        }
        Phase::Extracting { current, total } => return messages::progress(id, "Extracting", current, total),
        Phase::Pushing { current, total } => return messages::progress(id, "Pushing", current, total),
        Phase::Retrying { pause } => {
            let seconds = pause.as_secs().max(1);
            let unit = if seconds == 1 { "second" } else { "seconds" };
            return messages::phase(id, &format!("Retrying in {seconds} {unit}"));
        }
        Phase::MountedFrom { repository } => {
            return messages::phase(id, &format!("Mounted from {repository}"));
        }
        Phase::PullingFsLayer => "Pulling fs layer",
        Phase::Waiting => "Waiting",
        Phase::AlreadyExists => "Already exists",
        Phase::Verifying => "Verifying Checksum",
        Phase::DownloadComplete => "Download complete",
        Phase::PullComplete => "Pull complete",
        Phase::Preparing => "Preparing",
        Phase::Pushed => "Pushed",
        Phase::LayerExists => "Layer already exists",
        Phase::SkippedForeign => "Skipped foreign layer",
    };
    messages::phase(id, plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_tag_are_put_together() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let table = [
            ("busybox", "1.36", "docker.io/library/busybox:1.36".to_owned()),
            ("busybox:1.35", "", "docker.io/library/busybox:1.35".to_owned()),
            ("busybox:1.35", "1.36", "docker.io/library/busybox:1.36".to_owned()),
            ("busybox", "", "docker.io/library/busybox".to_owned()),
            ("busybox", &digest, format!("docker.io/library/busybox@{digest}")),
            ("r.example:5000/a/b", "c", "r.example:5000/a/b:c".to_owned()),
        ];
        for (from_image, tag, expected) in table {
            assert_eq!(reference(from_image, tag).unwrap().to_string(), expected, "{from_image} {tag}");
        }
        assert_eq!(reference("Busybox", "").unwrap_err().kind(), crate::Kind::InvalidParameter);
    }
}
