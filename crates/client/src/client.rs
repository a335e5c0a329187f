//! The client: an endpoint, the version spoken with it, and one idle connection.

use std::sync::{Mutex, PoisonError};

use barge_api::ApiVersion;
use barge_api::versions;
use hyper::client::conn::http1::SendRequest;

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::request::Body;
use crate::{Containers, Exec, Images, Networks, System, Volumes};

/// A client of one engine. Nothing is connected before the first request.
///
/// Until told otherwise the client speaks the newest version it knows and falls back when the engine says that this
/// is too new; so the common case needs no round trip to agree on a version.
#[derive(Debug)]
pub struct Client {
    endpoint: Endpoint,
    user_agent: String,
    headers: Vec<(String, String)>,
    version: Mutex<Spoken>,
    idle: Mutex<Option<SendRequest<Body>>>,
}

/// The version in use and how sure it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spoken {
    /// The newest we know; the engine has not yet agreed.
    Assumed,
    Agreed(ApiVersion),
    /// Told by the user: no falling back.
    Fixed(ApiVersion),
}

impl Spoken {
    pub(crate) fn version(self) -> ApiVersion {
        match self {
            Self::Assumed => versions::MAX,
            Self::Agreed(version) | Self::Fixed(version) => version,
        }
    }
}

impl Client {
    /// A client of the engine at `endpoint`.
    pub fn new(endpoint: Endpoint) -> Self {
        Self {
            endpoint,
            user_agent: concat!("Barge-Client/", env!("CARGO_PKG_VERSION"), " (linux)").to_owned(),
            headers: Vec::new(),
            version: Mutex::new(Spoken::Assumed),
            idle: Mutex::new(None),
        }
    }

    /// Speaks exactly `version`.
    #[must_use]
    pub fn with_version(self, version: ApiVersion) -> Self {
        Self { version: Mutex::new(Spoken::Fixed(version)), ..self }
    }

    /// Sends these headers with every request.
    #[must_use]
    pub fn with_headers(self, headers: Vec<(String, String)>) -> Self {
        Self { headers, ..self }
    }

    /// Where the engine listens.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The version both sides speak; asks the engine once if it is not known yet.
    ///
    /// # Errors
    /// As for [`System::ping`], and [`Error::Version`] if there is none.
    pub async fn version(&self) -> Result<ApiVersion> {
        match self.spoken() {
            Spoken::Agreed(version) | Spoken::Fixed(version) => Ok(version),
            Spoken::Assumed => {
                let ping = self.system().ping().await?;
                // Engines from before API 1.25 do not say.
                self.agree(ping.api_version.as_deref().unwrap_or("1.24"))
            }
        }
    }

    /// Takes over the newest version the engine says it speaks.
    pub(crate) fn agree(&self, newest: &str) -> Result<ApiVersion> {
        let refuse = || Error::Version { text: newest.to_owned() };
        let version = newest.parse::<ApiVersion>().map_err(|_| refuse())?.min(versions::MAX);
        if version < versions::MIN {
            return Err(refuse());
        }
        *self.version.lock().unwrap_or_else(PoisonError::into_inner) = Spoken::Agreed(version);
        Ok(version)
    }

    pub(crate) fn spoken(&self) -> Spoken {
        *self.version.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn user_agent(&self) -> &str {
        &self.user_agent
    }

    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// The idle connection, if it still lives.
    pub(crate) fn take_idle(&self) -> Option<SendRequest<Body>> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).take();
        idle.filter(SendRequest::is_ready)
    }

    pub(crate) fn keep_idle(&self, connection: SendRequest<Body>) {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }

    /// Containers.
    pub fn containers(&self) -> Containers<'_> {
        Containers::new(self)
    }

    /// Images.
    pub fn images(&self) -> Images<'_> {
        Images::new(self)
    }

    /// Networks.
    pub fn networks(&self) -> Networks<'_> {
        Networks::new(self)
    }

    /// Volumes.
    pub fn volumes(&self) -> Volumes<'_> {
        Volumes::new(self)
    }

    /// Processes in containers.
    pub fn exec(&self) -> Exec<'_> {
        Exec::new(self)
    }

    /// The engine itself.
    pub fn system(&self) -> System<'_> {
        System::new(self)
    }
}
