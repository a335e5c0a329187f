//! One blob into the repository, in the cheapest way the registry allows.

use barge_oci::{Descriptor, Digest};
use futures_util::{StreamExt, TryStreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use reqwest::{Method, Response, StatusCode, Url};
use tokio_util::io::ReaderStream;

use super::Push;
use crate::error::{Error, Result};
use crate::progress::{Meter, Phase};
use crate::pull::blocking;
use crate::retry::Backoff;
use crate::transport::{Ask, Payload, Trust};

/// What is read from the disk at once.
const BUFFER: usize = 512 << 10;

/// A blob on its way. The config has no `id`: it is not shown.
pub(super) struct Upload<'a> {
    pub(super) push: &'a Push,
    pub(super) descriptor: &'a Descriptor,
    pub(super) id: Option<&'a str>,
}

impl Upload<'_> {
    pub(super) async fn run(&self) -> Result<()> {
        if self.exists().await? {
            self.show(Phase::LayerExists).await;
            return Ok(());
        }
        let mut backoff = Backoff::default();
        let phase = loop {
            match self.attempt().await {
                Ok(phase) => break phase,
                Err(error) => {
                    let pause = backoff.pause(error)?;
                    self.show(Phase::Retrying { pause }).await;
                    tokio::time::sleep(pause).await;
                }
            }
        };
        self.show(phase).await;
        Ok(())
    }

    async fn show(&self, phase: Phase) {
        if let Some(id) = self.id {
            self.push.progress.phase(id, phase).await;
        }
    }

    fn digest(&self) -> Digest {
        self.descriptor.digest
    }

    async fn exists(&self) -> Result<bool> {
        let mut ask = Ask::new(Method::HEAD, self.push.session.url(&format!("blobs/{}", self.digest()))?);
        ask.trust = Trust::ByDigest;
        match self.push.session.send_persistently(ask).await {
            Ok(response) => Ok(response.status() == StatusCode::OK),
            Err(Error::UnexpectedStatus { status: 404 | 405, .. } | Error::Refused { status: 404, .. }) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn attempt(&self) -> Result<Phase> {
        for source in self.push.mounts.sources(&self.digest()) {
            let query = format!("?mount={}&from={source}", self.digest());
            let response = self.begin(&query).await?;
            if response.status() == StatusCode::CREATED {
                return Ok(Phase::MountedFrom { repository: source.clone() });
            }
            if let Ok(location) = location(&response) {
                // Not to be had from there, but the registry has opened an upload instead.
                return self.send(location).await;
            }
        }
        let response = self.begin("").await?;
        self.send(location(&response)?).await
    }

    async fn begin(&self, query: &str) -> Result<Response> {
        let mut ask = Ask::new(Method::POST, self.push.session.url(&format!("blobs/uploads/{query}"))?);
        ask = ask.header(CONTENT_LENGTH, "0");
        self.push.session.send(ask).await
    }

    async fn send(&self, mut location: Url) -> Result<Phase> {
        location.query_pairs_mut().append_pair("digest", &self.digest().to_string());
        let (store, digest) = (self.push.store.clone(), self.digest());
        let file = blocking("opening a layer", move || store.blobs().open(&digest)).await?;
        let (id, total) = (self.id.unwrap_or_default().to_owned(), self.descriptor.size);
        let mut meter = self.id.map(|_| Meter::new(&self.push.progress, &id));
        let mut current = 0;
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), BUFFER);
        let counted = stream.into_stream().inspect(move |piece| {
            current += piece.as_ref().map_or(0, |bytes| bytes.len() as u64);
            if let Some(meter) = &mut meter {
                meter.show(|| Phase::Pushing { current, total });
            }
        });
        let mut ask = Ask::new(Method::PUT, location)
            .header(CONTENT_TYPE, "application/octet-stream")
            .header(CONTENT_LENGTH, &total.to_string());
        ask.body = Payload::Stream(reqwest::Body::wrap_stream(counted));
        self.push.session.send(ask).await?;
        Ok(Phase::Pushed)
    }
}

/// Where the registry wants the bytes.
fn location(response: &Response) -> Result<Url> {
    let value = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let broken =
        |reason: &str| Error::Protocol { url: response.url().to_string(), reason: reason.to_owned() };
    let value = value.ok_or_else(|| broken("no location to upload to"))?;
    response.url().join(value).map_err(|_| broken("the location to upload to is no URL"))
}
