//! Volumes.

use barge_api::Filters;
use barge_api::volumes::{Volume, VolumeCreateRequest, VolumeList, VolumePrune};
use bytes::Bytes;

use crate::client::Client;
use crate::error::Result;
use crate::path::segment;

/// The volume calls of a client. Each fails with [`crate::Error`].
#[derive(Clone, Copy, Debug)]
pub struct Volumes<'a> {
    client: &'a Client,
}

impl<'a> Volumes<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists volumes.
    pub async fn list(self, filters: &Filters) -> Result<VolumeList> {
        self.client.read("/volumes").query_some("filters", filters.to_json()).send().await?.json().await
    }

    /// All about one volume, as the engine wrote it.
    pub async fn inspect_raw(self, name: &str) -> Result<Bytes> {
        self.client.read(format!("/volumes/{}", segment(name))).send().await?.bytes().await
    }

    /// Creates a volume, or finds it if there is one of that name.
    pub async fn create(self, request: &VolumeCreateRequest) -> Result<Volume> {
        self.client.post("/volumes/create").json(request)?.send().await?.json().await
    }

    /// Removes a volume that no container uses.
    pub async fn remove(self, name: &str, force: bool) -> Result<()> {
        let call = self.client.delete(format!("/volumes/{}", segment(name)));
        call.query_if("force", force).send().await?.done().await
    }

    /// Removes volumes without use.
    pub async fn prune(self, filters: &Filters) -> Result<VolumePrune> {
        let call = self.client.post("/volumes/prune").query_some("filters", filters.to_json());
        call.send().await?.json().await
    }
}
