//! The tags of a repository, page by page.

use barge_oci::Reference;
use reqwest::header::LINK;
use reqwest::{Response, Url};
use serde::Deserialize;

use crate::client::Client;
use crate::credentials::Credentials;
use crate::endpoint;
use crate::error::{Error, Result};
use crate::session::{Access, Session};
use crate::transport::{self, Ask};

const MAX_PAGE: u64 = 8 << 20;
/// A registry that never ends is cut off here.
const MAX_PAGES: usize = 1000;

#[derive(Deserialize)]
struct Page {
    tags: Option<Vec<String>>,
}

impl Client {
    /// All tags of the repository of `reference`, in the registry's order.
    ///
    /// # Errors
    /// If the registry can't be reached or refuses.
    pub async fn tags(
        &self,
        reference: &Reference,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<String>> {
        let candidate = endpoint::upstream(reference.domain())?;
        let session = Session::open(self, &candidate, reference.path(), Access::Pull, credentials).await?;
        let mut url = session.url("tags/list")?;
        let mut tags = Vec::new();
        for _ in 0..MAX_PAGES {
            let response = session.send_persistently(Ask::get(url)).await?;
            let (next, shown) = (next_page(&response), response.url().to_string());
            let bytes = transport::body(response, MAX_PAGE).await?;
            let page: Page = serde_json::from_slice(&bytes)
                .map_err(|error| Error::Protocol { url: shown, reason: error.to_string() })?;
            tags.extend(page.tags.unwrap_or_default());
            match next {
                Some(next) => url = next,
                None => break,
            }
        }
        Ok(tags)
    }
}

/// `Link: <URL>; rel="next"` (RFC 8288).
fn next_page(response: &Response) -> Option<Url> {
    let link = response.headers().get(LINK)?.to_str().ok()?;
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    parameters.contains("rel=\"next\"").then(|| response.url().join(target).ok())?
}
