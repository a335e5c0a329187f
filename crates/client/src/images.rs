//! Images: lists, transfer, names.

use barge_api::Filters;
use barge_api::distribution::DistributionInspect;
use barge_api::images::{HistoryItem, ImageDelete, ImageInspect, ImagePrune, ImageSummary, SearchResult};
use barge_api::progress::JsonMessage;
use barge_api::system::header::REGISTRY_AUTH;
use bytes::Bytes;
use tokio::io::AsyncRead;

use crate::auth::RegistryAuth;
use crate::client::Client;
use crate::error::Result;
use crate::lines::Lines;
use crate::path::segment;
use crate::request::Body;

/// The image calls of a client. Each fails with [`crate::Error`].
#[derive(Clone, Copy, Debug)]
pub struct Images<'a> {
    client: &'a Client,
}

/// What an import makes.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// A URL for the engine to fetch, or `-` for the body.
    pub source: String,
    /// The new image's repository.
    pub repository: String,
    /// And tag.
    pub tag: String,
    /// A remark.
    pub message: String,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// Empty takes the host's.
    pub platform: String,
}

impl<'a> Images<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists images.
    pub async fn list(self, all: bool, filters: &Filters) -> Result<Vec<ImageSummary>> {
        let call =
            self.client.read("/images/json").query_if("all", all).query_some("filters", filters.to_json());
        call.send().await?.json().await
    }

    /// All about one image.
    pub async fn inspect(self, name: &str) -> Result<ImageInspect> {
        self.client.read(format!("/images/{}/json", segment(name))).send().await?.json().await
    }

    /// All about one image, as the engine wrote it; `platform` is JSON or empty.
    pub async fn inspect_raw(self, name: &str, platform: &str) -> Result<Bytes> {
        let call = self.client.read(format!("/images/{}/json", segment(name)));
        call.query_some("platform", platform).send().await?.bytes().await
    }

    /// The steps that made it, newest first.
    pub async fn history(self, name: &str, platform: &str) -> Result<Vec<HistoryItem>> {
        let call = self.client.read(format!("/images/{}/history", segment(name)));
        call.query_some("platform", platform).send().await?.json().await
    }

    /// Fetches an image; an empty `tag` fetches all of the repository, a digest stands in its place too.
    pub async fn pull(
        self,
        repository: &str,
        tag: &str,
        platform: &str,
        auth: &RegistryAuth,
    ) -> Result<Lines<JsonMessage>> {
        let call = self.client.post("/images/create").query("fromImage", repository).query_some("tag", tag);
        let call = call.query_some("platform", platform).header(REGISTRY_AUTH, &*auth.0);
        Ok(call.send().await?.into_lines())
    }

    /// Sends an image to its registry; an empty `tag` sends all of the repository.
    pub async fn push(
        self,
        repository: &str,
        tag: &str,
        platform: &str,
        auth: &RegistryAuth,
    ) -> Result<Lines<JsonMessage>> {
        let call = self.client.post(format!("/images/{}/push", segment(repository))).query_some("tag", tag);
        // The engine insists on the header, also without credentials.
        let auth = if auth.0.is_empty() { "e30=" } else { &auth.0 };
        let call = call.query_some("platform", platform).header(REGISTRY_AUTH, auth);
        Ok(call.send().await?.into_lines())
    }

    /// Gives an image one more name.
    pub async fn tag(self, source: &str, repository: &str, tag: &str) -> Result<()> {
        let call = self.client.post(format!("/images/{}/tag", segment(source)));
        call.query("repo", repository).query_some("tag", tag).send().await?.done().await
    }

    /// Removes a name, and the image with its last one.
    pub async fn remove(self, name: &str, force: bool, keep_parents: bool) -> Result<Vec<ImageDelete>> {
        let call = self.client.delete(format!("/images/{}", segment(name)));
        call.query_if("force", force).query_if("noprune", keep_parents).send().await?.json().await
    }

    /// Removes images without use.
    pub async fn prune(self, filters: &Filters) -> Result<ImagePrune> {
        let call = self.client.post("/images/prune").query_some("filters", filters.to_json());
        call.send().await?.json().await
    }

    /// Takes in images from a tar stream.
    pub async fn load(self, tar: Body, quiet: bool) -> Result<Lines<JsonMessage>> {
        let call = self.client.post("/images/load").query("quiet", if quiet { "1" } else { "0" });
        Ok(call.header("content-type", "application/x-tar").body(tar).send().await?.into_lines())
    }

    /// Images with all their layers, as a tar stream.
    pub async fn save(self, names: &[String]) -> Result<impl AsyncRead + Send + Unpin + 'static> {
        let call =
            names.iter().fold(self.client.read("/images/get"), |call, name| call.query("names", &**name));
        Ok(call.send().await?.into_reader())
    }

    /// Makes an image of one layer from a tar stream or a URL.
    pub async fn import(self, options: &ImportOptions, tar: Body) -> Result<Lines<JsonMessage>> {
        let mut call = self.client.post("/images/create").query("fromSrc", &*options.source);
        call = call.query_some("repo", &*options.repository).query_some("tag", &*options.tag);
        call = call.query_some("message", &*options.message).query_some("platform", &*options.platform);
        for change in &options.changes {
            call = call.query("changes", &**change);
        }
        Ok(call.header("content-type", "application/x-tar").body(tar).send().await?.into_lines())
    }

    /// Looks for repositories on Docker Hub.
    pub async fn search(self, term: &str, limit: i64, filters: &Filters) -> Result<Vec<SearchResult>> {
        let call = self.client.read("/images/search").query("term", term);
        let call = call.query("limit", limit.to_string()).query_some("filters", filters.to_json());
        call.send().await?.json().await
    }

    /// What a registry has under a name.
    pub async fn distribution(self, name: &str, auth: &RegistryAuth) -> Result<DistributionInspect> {
        let call = self.client.read(format!("/distribution/{}/json", segment(name)));
        call.header(REGISTRY_AUTH, &*auth.0).send().await?.json().await
    }
}
