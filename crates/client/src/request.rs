//! One request: its parts, the version prefix, sending, and the second try with an older version.

use barge_api::ErrorResponse;
use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1;
use hyper::http::HeaderValue;
use hyper::{Method, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use crate::client::{Client, Spoken};
use crate::error::{Error, Result};
use crate::hijack::Hijacked;
use crate::path;
use crate::response::Response;
use crate::transport::Transport;

/// The body of a request.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Error texts longer than this are cut: a proxy's page is no message.
const ERROR_LIMIT: usize = 1 << 20;

/// Streams what `reader` gives as a request's body.
pub fn body_from_reader(reader: impl AsyncRead + Send + 'static) -> Body {
    let stream = ReaderStream::with_capacity(reader, 64 * 1024).map_ok(Frame::data);
    BodyExt::boxed_unsync(StreamBody::new(stream))
}

/// What is sent: bytes can be sent again, a stream cannot.
enum Payload {
    Bytes(Bytes),
    Stream(Body),
}

/// A request under construction.
pub struct Request<'a> {
    client: &'a Client,
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    payload: Payload,
    versioned: bool,
}

impl Client {
    /// Starts a request for `path`, which begins with a slash and has no version.
    pub fn request(&self, method: Method, path: impl Into<String>) -> Request<'_> {
        Request {
            client: self,
            method,
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            payload: Payload::Bytes(Bytes::new()),
            versioned: true,
        }
    }

    /// Starts a `GET`.
    pub(crate) fn read(&self, path: impl Into<String>) -> Request<'_> {
        self.request(Method::GET, path)
    }

    /// Starts a `POST`.
    pub(crate) fn post(&self, path: impl Into<String>) -> Request<'_> {
        self.request(Method::POST, path)
    }

    /// Starts a `DELETE`.
    pub(crate) fn delete(&self, path: impl Into<String>) -> Request<'_> {
        self.request(Method::DELETE, path)
    }

    /// Takes the idle connection or opens one.
    async fn connection(&self) -> Result<http1::SendRequest<Body>> {
        match self.take_idle() {
            Some(connection) => Ok(connection),
            None => self.connect().await,
        }
    }

    async fn connect(&self) -> Result<http1::SendRequest<Body>> {
        let transport = Transport::connect(self.endpoint()).await?;
        let failed =
            |source| Error::Http { method: "CONNECT".to_owned(), path: self.endpoint().to_string(), source };
        let (sender, connection) = http1::handshake(TokioIo::new(transport)).await.map_err(failed)?;
        // Its errors come back through the request; the task ends with the connection.
        tokio::spawn(connection.with_upgrades());
        Ok(sender)
    }
}

impl<'a> Request<'a> {
    /// Adds a parameter.
    #[must_use]
    pub fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    /// Adds a parameter unless its value is empty.
    #[must_use]
    pub fn query_some(self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if value.is_empty() { self } else { self.query(name, value) }
    }

    /// Adds `name=1` if `set`.
    #[must_use]
    pub fn query_if(self, name: &'static str, set: bool) -> Self {
        if set { self.query(name, "1") } else { self }
    }

    /// Adds a header unless its value is empty.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.headers.push((name, value));
        }
        self
    }

    /// Sends `value` as JSON.
    ///
    /// # Errors
    /// [`Error::Encode`] if it cannot be written as JSON.
    pub fn json(mut self, value: &impl Serialize) -> Result<Self> {
        let bytes = serde_json::to_vec(value).map_err(|source| Error::Encode { source })?;
        self.headers.push(("content-type", "application/json".to_owned()));
        self.payload = Payload::Bytes(bytes.into());
        Ok(self)
    }

    /// Sends `body`, for example from [`body_from_reader`].
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.payload = Payload::Stream(body);
        self
    }

    /// Leaves the version out of the path, as `_ping` has it.
    #[must_use]
    pub(crate) fn unversioned(mut self) -> Self {
        self.versioned = false;
        self
    }

    /// Sends the request and takes any status below 400.
    ///
    /// # Errors
    /// [`Error::Api`] for other statuses; connection and transport errors.
    pub async fn send(self) -> Result<Response<'a>> {
        let client = self.client;
        let (response, sender) = self.exchange(None).await?;
        Ok(Response::new(client, response, sender))
    }

    /// Sends the request and takes over its connection.
    ///
    /// # Errors
    /// As for [`Request::send`], and [`Error::Upgrade`] if the engine keeps the connection.
    pub(crate) async fn hijack(self) -> Result<Hijacked> {
        let (method, path) = (self.method.to_string(), self.path.clone());
        let (response, _sender) = self.exchange(Some("tcp")).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::Upgrade { status: response.status().as_u16() });
        }
        let upgraded =
            hyper::upgrade::on(response).await.map_err(|source| Error::Http { method, path, source })?;
        Ok(Hijacked::new(upgraded))
    }

    /// Sends, and sends again with the engine's version if ours is too new for it.
    async fn exchange(
        mut self,
        upgrade: Option<&'static str>,
    ) -> Result<(hyper::Response<Incoming>, http1::SendRequest<Body>)> {
        let streamed = matches!(self.payload, Payload::Stream(_));
        if streamed && self.versioned {
            // A stream can be sent once only, so the version must be certain.
            Box::pin(self.client.version()).await?;
        }
        let spoken = self.client.spoken();
        let (response, sender) = self.attempt(spoken, upgrade).await?;
        let status = response.status();
        if status.is_informational() || status.is_success() || status.is_redirection() {
            if let Spoken::Assumed = spoken {
                self.agree_from(&response);
            }
            return Ok((response, sender));
        }
        let error = api_error(response).await?;
        match (&error, spoken) {
            (Error::Api { status: 400, message }, Spoken::Assumed) if self.versioned => {
                let Some(newest) = newest_named(message) else { return Err(error) };
                self.client.agree(newest)?;
                let (response, sender) = self.attempt(self.client.spoken(), upgrade).await?;
                if response.status().as_u16() >= 400 {
                    Err(api_error(response).await?)
                } else {
                    Ok((response, sender))
                }
            }
            _ => Err(error),
        }
    }

    /// A first success settles the version: the engine has taken ours.
    fn agree_from(&self, response: &hyper::Response<Incoming>) {
        let newest = response.headers().get(barge_api::system::header::API_VERSION);
        if let Some(newest) = newest.and_then(|value| value.to_str().ok()) {
            // An unreadable header leaves the version as assumed as it was.
            let _ = self.client.agree(newest);
        }
    }

    async fn attempt(
        &mut self,
        spoken: Spoken,
        upgrade: Option<&'static str>,
    ) -> Result<(hyper::Response<Incoming>, http1::SendRequest<Body>)> {
        let target = self.target(spoken);
        let mut sender = self.client.connection().await?;
        loop {
            let request = self.build(&target, upgrade)?;
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, sender)),
                Err(mut refused) => {
                    // The engine may close an idle connection just as we use it: what was never sent goes again.
                    if let (Some(unsent), true) = (refused.take_message(), sender.is_closed()) {
                        if let Payload::Stream(body) = &mut self.payload {
                            *body = unsent.into_body();
                        }
                        sender = self.client.connect().await?;
                        continue;
                    }
                    let method = self.method.to_string();
                    return Err(Error::Http { method, path: target, source: refused.into_error() });
                }
            }
        }
    }

    fn target(&self, spoken: Spoken) -> String {
        let query = path::query(&self.query);
        if self.versioned {
            format!("/v{}{}{query}", spoken.version(), self.path)
        } else {
            format!("{}{query}", self.path)
        }
    }

    fn build(&mut self, target: &str, upgrade: Option<&'static str>) -> Result<hyper::Request<Body>> {
        let body = match &mut self.payload {
            Payload::Bytes(bytes) => {
                BodyExt::boxed_unsync(Full::new(bytes.clone()).map_err(|never| match never {}))
            }
            Payload::Stream(body) => std::mem::take(body),
        };
        let mut builder = hyper::Request::builder()
            .method(&self.method)
            .uri(target)
            .header(header::HOST, self.client.endpoint().host_header())
            .header(header::USER_AGENT, self.client.user_agent());
        for (name, value) in self.client.headers() {
            builder = builder.header(name, value);
        }
        for (name, value) in &self.headers {
            builder = builder.header(*name, value);
        }
        if let Some(protocol) = upgrade {
            builder = builder
                .header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
                .header(header::UPGRADE, HeaderValue::from_static(protocol));
        }
        builder.body(body).map_err(|source| Error::Request { path: target.to_owned(), source })
    }
}

/// Reads the message out of a failed response.
async fn api_error(response: hyper::Response<Incoming>) -> Result<Error> {
    let status = response.status();
    let body = http_body_util::Limited::new(response.into_body(), ERROR_LIMIT);
    let bytes = match body.collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(_) => Bytes::new(),
    };
    let message = match serde_json::from_slice::<ErrorResponse>(&bytes) {
        Ok(error) if !error.message.is_empty() => error.message.trim().to_owned(),
        _ if bytes.is_empty() => {
            format!("request returned {status}; check if the server supports the requested API version")
        }
        _ => String::from_utf8_lossy(&bytes).trim().to_owned(),
    };
    Ok(Error::Api { status: status.as_u16(), message })
}

/// The version in `client version 1.52 is too new. Maximum supported API version is 1.41`.
fn newest_named(message: &str) -> Option<&str> {
    let (_, newest) = message.split_once("Maximum supported API version is ")?;
    Some(newest.trim().trim_end_matches('.'))
}
