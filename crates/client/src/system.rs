//! The engine itself: ping, version, information, credentials, events, disk usage.

use barge_api::Filters;
use barge_api::events::EventMessage;
use barge_api::system::{AuthConfig, AuthResponse, DiskUsage, Info, Version, header};
use bytes::Bytes;
use hyper::Method;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::lines::Lines;

/// The calls to the engine itself. Each fails with [`crate::Error`].
#[derive(Clone, Copy, Debug)]
pub struct System<'a> {
    client: &'a Client,
}

/// What a ping tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ping {
    /// The newest version the engine speaks; engines before API 1.25 do not say.
    pub api_version: Option<String>,
    /// `linux` or `windows`.
    pub os_type: String,
    /// Whether experimental features are on.
    pub experimental: bool,
}

/// Which events to hear.
#[derive(Clone, Debug, Default)]
pub struct EventOptions {
    /// Past ones from here on, if it is not empty.
    pub since: String,
    /// Up to here, then end.
    pub until: String,
    /// What must match.
    pub filters: Filters,
}

impl<'a> System<'a> {
    pub(crate) fn new(client: &'a Client) -> Self {
        Self { client }
    }

    /// Asks whether the engine is there and what it speaks.
    pub async fn ping(self) -> Result<Ping> {
        match self.ping_by(Method::HEAD).await {
            // Engines before API 1.40 answer GET only.
            Err(Error::Api { .. } | Error::Http { .. }) => self.ping_by(Method::GET).await,
            answer => answer,
        }
    }

    async fn ping_by(self, method: Method) -> Result<Ping> {
        let response = self.client.request(method, "/_ping").unversioned().send().await?;
        let text = |name| response.header(name).map(str::to_owned);
        let ping = Ping {
            api_version: text(header::API_VERSION),
            os_type: text(header::OSTYPE).unwrap_or_default(),
            experimental: response.header(header::DOCKER_EXPERIMENTAL) == Some("true"),
        };
        response.done().await?;
        Ok(ping)
    }

    /// The engine's version and its parts'.
    pub async fn version(self) -> Result<Version> {
        self.client.read("/version").send().await?.json().await
    }

    /// What the engine says of itself and its host.
    pub async fn info(self) -> Result<Info> {
        self.client.read("/info").send().await?.json().await
    }

    /// The same, as the engine wrote it.
    pub async fn info_raw(self) -> Result<Bytes> {
        self.client.read("/info").send().await?.bytes().await
    }

    /// Tries credentials at their registry.
    pub async fn login(self, auth: &AuthConfig) -> Result<AuthResponse> {
        let response = self.client.post("/auth").json(auth)?.send().await?;
        // 204 is a login without an identity token.
        if response.status() == 204 {
            response.done().await?;
            return Ok(AuthResponse::default());
        }
        response.json().await
    }

    /// What happens, as it happens.
    pub async fn events(self, options: &EventOptions) -> Result<Lines<EventMessage>> {
        let call = self.client.read("/events").query_some("since", &*options.since);
        let call = call.query_some("until", &*options.until).query_some("filters", options.filters.to_json());
        Ok(call.send().await?.into_lines())
    }

    /// Where the disk space went.
    pub async fn disk_usage(self) -> Result<DiskUsage> {
        self.client.read("/system/df").send().await?.json().await
    }
}
