//! Networks.

use barge_api::Filters;
use barge_api::networks::{
    Network, NetworkConnectRequest, NetworkCreateRequest, NetworkCreateResponse, NetworkDisconnectRequest,
    NetworkPrune,
};
use bytes::Bytes;

use crate::client::Client;
use crate::error::Result;
use crate::path::segment;

/// The network calls of a client. Each fails with [`crate::Error`].
#[derive(Clone, Copy, Debug)]
pub struct Networks<'a> {
    client: &'a Client,
}

impl<'a> Networks<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Lists networks.
    pub async fn list(self, filters: &Filters) -> Result<Vec<Network>> {
        self.client.read("/networks").query_some("filters", filters.to_json()).send().await?.json().await
    }

    /// All about one network.
    pub async fn inspect(self, id: &str) -> Result<Network> {
        self.client.read(format!("/networks/{}", segment(id))).send().await?.json().await
    }

    /// All about one network, as the engine wrote it.
    pub async fn inspect_raw(self, id: &str, scope: &str, verbose: bool) -> Result<Bytes> {
        let call = self.client.read(format!("/networks/{}", segment(id)));
        call.query_some("scope", scope).query_if("verbose", verbose).send().await?.bytes().await
    }

    /// Creates a network.
    pub async fn create(self, request: &NetworkCreateRequest) -> Result<NetworkCreateResponse> {
        self.client.post("/networks/create").json(request)?.send().await?.json().await
    }

    /// Removes a network that no container uses.
    pub async fn remove(self, id: &str) -> Result<()> {
        self.client.delete(format!("/networks/{}", segment(id))).send().await?.done().await
    }

    /// Joins a container to a network.
    pub async fn connect(self, id: &str, request: &NetworkConnectRequest) -> Result<()> {
        self.client
            .post(format!("/networks/{}/connect", segment(id)))
            .json(request)?
            .send()
            .await?
            .done()
            .await
    }

    /// Takes a container off a network.
    pub async fn disconnect(self, id: &str, request: &NetworkDisconnectRequest) -> Result<()> {
        self.client
            .post(format!("/networks/{}/disconnect", segment(id)))
            .json(request)?
            .send()
            .await?
            .done()
            .await
    }

    /// Removes networks without containers.
    pub async fn prune(self, filters: &Filters) -> Result<NetworkPrune> {
        let call = self.client.post("/networks/prune").query_some("filters", filters.to_json());
        call.send().await?.json().await
    }
}
