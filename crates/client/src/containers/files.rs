//! Files of a container: changes, archives, export, commit.

use barge_api::containers::{ContainerConfig, FilesystemChange, PathStat};
use barge_api::exec::ExecCreateResponse;
use barge_api::system::header::PATH_STAT;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use tokio::io::AsyncRead;

use super::Containers;
use crate::error::{Error, Result};
use crate::path::segment;
use crate::request::Body;
use crate::response::Response;

/// What a commit makes.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// The new image's repository.
    pub repository: String,
    /// And tag.
    pub tag: String,
    /// A remark.
    pub comment: String,
    /// Who made it.
    pub author: String,
    /// Dockerfile instructions to apply.
    pub changes: Vec<String>,
    /// Do not pause the container meanwhile.
    pub keep_running: bool,
}

impl Containers<'_> {
    /// What differs from its image.
    pub async fn changes(self, id: &str) -> Result<Vec<FilesystemChange>> {
        // `null` is what an engine says without changes.
        self.get(id, "changes").send().await?.json::<Option<_>>().await.map(Option::unwrap_or_default)
    }

    /// All its files, as a tar stream.
    pub async fn export(self, id: &str) -> Result<impl AsyncRead + Send + Unpin + 'static> {
        Ok(self.get(id, "export").send().await?.into_reader())
    }

    /// Its file or directory at `path`, as a tar stream.
    pub async fn download(
        self,
        id: &str,
        path: &str,
    ) -> Result<(PathStat, impl AsyncRead + Send + Unpin + 'static)> {
        let response = self.get(id, "archive").query("path", path).send().await?;
        Ok((stat(&response)?, response.into_reader()))
    }

    /// What is at `path`.
    pub async fn stat(self, id: &str, path: &str) -> Result<PathStat> {
        let call = self.client.request(Method::HEAD, format!("/containers/{}/archive", segment(id)));
        let response = call.query("path", path).send().await?;
        let found = stat(&response)?;
        response.done().await?;
        Ok(found)
    }

    /// Unpacks a tar stream at the directory `path`.
    pub async fn upload(self, id: &str, path: &str, tar: Body) -> Result<()> {
        let call = self.client.request(Method::PUT, format!("/containers/{}/archive", segment(id)));
        let call = call.query("path", path).query("noOverwriteDirNonDir", "true");
        call.header("content-type", "application/x-tar").body(tar).send().await?.done().await
    }

    /// Makes an image of it; returns the image's ID.
    pub async fn commit(self, id: &str, options: &CommitOptions, config: &ContainerConfig) -> Result<String> {
        let mut call =
            self.client.post("/commit").query("container", id).query_some("repo", &*options.repository);
        call = call.query_some("tag", &*options.tag).query_some("comment", &*options.comment);
        call = call.query_some("author", &*options.author);
        for change in &options.changes {
            call = call.query("changes", &**change);
        }
        if options.keep_running {
            call = call.query("pause", "0");
        }
        let made: ExecCreateResponse = call.json(config)?.send().await?.json().await?;
        Ok(made.id)
    }
}

fn stat(response: &Response<'_>) -> Result<PathStat> {
    let text = response.header(PATH_STAT).unwrap_or_default();
    let json = STANDARD.decode(text).unwrap_or_default();
    serde_json::from_slice(&json).map_err(|source| Error::Decode { source })
}
