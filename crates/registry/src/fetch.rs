//! A file from any web server: the source of an import.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use reqwest::Url;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::tls::Verification;
use crate::transport::{self, Ask, Trust};

/// A body as it comes in.
pub type Download = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

impl Client {
    /// Begins to download `url`, with the same proxies, authorities and resolver as registries.
    ///
    /// # Errors
    /// If it is no http URL, the server can't be reached or refuses.
    pub async fn download(&self, url: &str) -> Result<Download> {
        let parsed = Url::parse(url)
            .map_err(|error| Error::Address { address: url.to_owned(), reason: error.to_string() })?;
        let mut ask = Ask::get(parsed);
        // Nobody promised a digest; the user named the server, and takes where it sends us.
        ask.trust = Trust::ByDigest;
        let response = self.transport().send(ask, None, Verification::Required).await?;
        if !response.status().is_success() {
            return Err(transport::refusal(response).await);
        }
        Ok(Box::pin(response.bytes_stream().map_err(io::Error::other)))
    }
}
