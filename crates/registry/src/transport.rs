//! Requests to hosts: one HTTP client per host and way of trusting it, redirects followed by hand.
//!
//! Authorization goes to the origin it was made for and is dropped when an answer points elsewhere (content servers
//! have their own signed URLs). A redirect from https down to http is followed only for content that is checked
//! against its digest afterwards.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client as Http, Method, Response, StatusCode, Url};

use crate::config::{Config, Security, split_authority};
use crate::dns::Resolver;
use crate::error::{Error, Result};
use crate::tls::{self, HostCertificates, Verification};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a registry may think before it answers.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 10;
const MAX_CLIENTS: usize = 64;
/// The most of an error document that is read.
const MAX_ERROR_DOCUMENT: u64 = 64 << 10;

/// One request.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Payload,
    pub(crate) trust: Trust,
}

/// Whether the answer is checked against a digest, so that it does not matter who gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    ByDigest,
    ByOrigin,
}

/// What a request carries.
pub(crate) enum Payload {
    Empty,
    Whole(Bytes),
    /// Can be sent once only: never repeated, never redirected.
    Stream(reqwest::Body),
}

impl Ask {
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Payload::Empty, trust: Trust::ByOrigin }
    }

    pub(crate) fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    pub(crate) fn header(mut self, name: reqwest::header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// The same request once more, unless its body is gone.
    pub(crate) fn again(&self) -> Option<Self> {
        let body = match &self.body {
            Payload::Empty => Payload::Empty,
            Payload::Whole(bytes) => Payload::Whole(bytes.clone()),
            Payload::Stream(_) => return None,
        };
        let (method, url, headers) = (self.method.clone(), self.url.clone(), self.headers.clone());
        Some(Self { method, url, headers, body, trust: self.trust })
    }
}

/// The HTTP clients. Shared by everything a [`Client`](crate::Client) does.
pub(crate) struct Transport {
    config: Config,
    resolver: Resolver,
    clients: Mutex<HashMap<(String, Verification), Stamped>>,
}

struct Stamped {
    stamp: Vec<(PathBuf, Option<SystemTime>)>,
    http: Http,
}

impl Transport {
    pub(crate) fn new(config: Config) -> Self {
        Self { config, resolver: Resolver::default(), clients: Mutex::default() }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// What the rules say of `host[:port]`.
    pub(crate) async fn security(&self, authority: &str) -> Security {
        let mut addresses = Vec::new();
        if self.config.has_networks() {
            // A name that does not resolve is told when it is connected to.
            addresses = self.resolver.addresses(split_authority(authority).0).await.unwrap_or_default();
        }
        self.config.security(authority, &addresses)
    }

    /// True if the administrator has put an authority for `host[:port]` into a `certs.d` directory.
    pub(crate) fn has_authority(&self, authority: &str) -> bool {
        HostCertificates::load(&self.config.certs_dirs, authority)
            .is_ok_and(|found| !found.authorities.is_empty())
    }

    /// The client for `host[:port]`. Made anew when the host's `certs.d` directory has changed.
    fn http(&self, authority: &str, verification: Verification) -> Result<Http> {
        let stamp = self.stamp(authority);
        let key = (authority.to_owned(), verification);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = clients.get(&key).filter(|known| known.stamp == stamp) {
            return Ok(known.http.clone());
        }
        let certificates = HostCertificates::load(&self.config.certs_dirs, authority)?;
        let http = self.build(authority, tls::client_config(authority, certificates, verification)?)?;
        if clients.len() >= MAX_CLIENTS {
            // Redirects can name any number of hosts. Connections in use live on.
            clients.clear();
        }
        clients.insert(key, Stamped { stamp, http: http.clone() });
        Ok(http)
    }

    fn stamp(&self, authority: &str) -> Vec<(PathBuf, Option<SystemTime>)> {
        let entries = self.config.certs_dirs.iter().filter_map(|dir| dir.join(authority).read_dir().ok());
        let mut stamp: Vec<_> = entries
            .flatten()
            .flatten()
            .map(|entry| (entry.path(), entry.metadata().and_then(|found| found.modified()).ok()))
            .collect();
        stamp.sort();
        stamp
    }

    fn build(&self, authority: &str, tls: rustls::ClientConfig) -> Result<Http> {
        let mut builder = Http::builder()
            .user_agent(&self.config.user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .dns_resolver(Arc::new(self.resolver.clone()))
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(30))
            .http2_adaptive_window(true)
            .tls_backend_preconfigured(tls);
        if self.config.security(authority, &[]) == Security::Loopback {
            // As in Go: this machine is never asked for through a proxy.
            builder = builder.no_proxy();
        }
        let failed = |error: reqwest::Error| Error::Setup {
            authority: authority.to_owned(),
            reason: error.to_string(),
        };
        builder.build().map_err(failed)
    }

    /// Sends a request and follows redirects. Answers that are errors come back like others.
    pub(crate) async fn send(
        &self,
        ask: Ask,
        authorization: Option<HeaderValue>,
        verification: Verification,
    ) -> Result<Response> {
        let origin = ask.url.clone();
        let mut ask = ask;
        for _ in 0..=MAX_REDIRECTS {
            let next = ask.again();
            let at_home = ask.url.origin() == origin.origin();
            let verification = if at_home { verification } else { self.verification_of(&ask.url).await };
            let response =
                self.send_once(ask, authorization.clone().filter(|_| at_home), verification).await?;
            let Some(next) = next.and_then(|next| redirected(next, &response).transpose()) else {
                return Ok(response);
            };
            ask = next?;
        }
        let reason = format!("stopped after {MAX_REDIRECTS} redirects");
        Err(Error::Protocol { url: origin.to_string(), reason })
    }

    async fn verification_of(&self, url: &Url) -> Verification {
        match self.security(&authority(url)).await {
            Security::Verified => Verification::Required,
            Security::Loopback if self.has_authority(&authority(url)) => Verification::Required,
            Security::Loopback | Security::Insecure => Verification::Skipped,
        }
    }

    async fn send_once(
        &self,
        ask: Ask,
        authorization: Option<HeaderValue>,
        verification: Verification,
    ) -> Result<Response> {
        let Ask { method, url, mut headers, body, .. } = ask;
        let http = self.http(&authority(&url), verification)?;
        if let Some(authorization) = authorization {
            headers.insert(AUTHORIZATION, authorization);
        }
        let failed =
            |error: reqwest::Error| unreachable_host(method.clone(), &url, &error, error.is_connect());
        let request = http.request(method.clone(), url.clone()).headers(headers);
        let (request, limit) = match body {
            Payload::Empty => (request, Some(ANSWER_TIMEOUT)),
            Payload::Whole(bytes) => (request.body(bytes), Some(ANSWER_TIMEOUT)),
            Payload::Stream(stream) => (request.body(stream), None),
        };
        let Some(limit) = limit else { return request.send().await.map_err(failed) };
        match tokio::time::timeout(limit, request.send()).await {
            Ok(answer) => answer.map_err(failed),
            Err(_) => {
                let cause = "net/http: timeout awaiting response headers".to_owned();
                Err(Error::Unreachable { method, url: url.to_string(), cause, cut: true })
            }
        }
    }
}

/// `host[:port]` of a URL, the port only where it is not the scheme's own.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The request that `response` sends us on to, `None` if it is the answer.
fn redirected(next: Ask, response: &Response) -> Result<Option<Ask>> {
    let status = response.status();
    let repeatable = matches!(next.method, Method::GET | Method::HEAD)
        || matches!(status, StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) || !repeatable {
        return Ok(None);
    }
    let broken = |reason: &str| Error::Protocol { url: next.url.to_string(), reason: reason.to_owned() };
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| broken("a redirect to nowhere"))?;
    let url = next.url.join(location).map_err(|_| broken("a redirect to what is no URL"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(broken("a redirect to what is not http"));
    }
    if next.url.scheme() == "https" && url.scheme() == "http" && next.trust == Trust::ByOrigin {
        return Err(broken("a redirect from https to http"));
    }
    Ok(Some(Ask { url, ..next }))
}

/// An error of the HTTP client in the words of Go's, which Docker's users know.
fn unreachable_host(method: Method, url: &Url, error: &reqwest::Error, connecting: bool) -> Error {
    let cause = explain(url, error, connecting);
    // Nothing listens or nothing trusts: neither changes by asking at once again.
    Error::Unreachable { method, url: url.to_string(), cause, cut: !connecting }
}

/// The body of an answer broke off.
pub(crate) fn cut(url: &Url, error: &reqwest::Error) -> Error {
    Error::Cut { url: url.to_string(), cause: explain(url, error, false) }
}

fn explain(url: &Url, error: &reqwest::Error, connecting: bool) -> String {
    let mut sources = std::iter::successors(error.source(), |error| (*error).source());
    let io = sources.find_map(|source| source.downcast_ref::<io::Error>());
    let dialed = || match url.port_or_known_default() {
        Some(port) => format!("dial tcp {}:{port}", url.host_str().unwrap_or_default()),
        None => "dial tcp".to_owned(),
    };
    let Some(io) = io else {
        if error.is_timeout() {
            return format!("{}: i/o timeout", dialed());
        }
        let deepest = std::iter::successors(error.source(), |error| (*error).source()).last();
        return deepest.map_or_else(|| error.to_string(), ToString::to_string);
    };
    if let Some(tls) = tls_error(io) {
        return tls::explain(tls);
    }
    let words = match io.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::HostUnreachable => "no route to host",
        io::ErrorKind::NetworkUnreachable => "network is unreachable",
        io::ErrorKind::ConnectionReset => "connection reset by peer",
        io::ErrorKind::UnexpectedEof => return "unexpected EOF".to_owned(),
        io::ErrorKind::TimedOut if connecting => return format!("{}: i/o timeout", dialed()),
        // Only our resolver reports that something is not found.
        io::ErrorKind::NotFound if connecting => return format!("dial tcp: {io}"),
        _ => return io.to_string(),
    };
    if connecting { format!("{}: connect: {words}", dialed()) } else { format!("read tcp: {words}") }
}

/// The TLS error in an I/O error, however often that was wrapped.
fn tls_error(mut io: &io::Error) -> Option<&rustls::Error> {
    loop {
        let inner = io.get_ref()?;
        match inner.downcast_ref::<rustls::Error>() {
            Some(tls) => return Some(tls),
            None => io = inner.downcast_ref::<io::Error>()?,
        }
    }
}

/// The whole body, refused beyond `limit` bytes.
pub(crate) async fn body(mut response: Response, limit: u64) -> Result<Bytes> {
    let url = response.url().clone();
    let mut whole = Vec::new();
    loop {
        let next = tokio::time::timeout(ANSWER_TIMEOUT, response.chunk()).await;
        let chunk = match next {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => return Ok(whole.into()),
            Ok(Err(error)) => return Err(cut(&url, &error)),
            Err(_) => return Err(Error::Cut { url: url.to_string(), cause: "i/o timeout".to_owned() }),
        };
        if whole.len() as u64 + chunk.len() as u64 > limit {
            let reason = format!("the answer is larger than {limit} bytes");
            return Err(Error::Protocol { url: url.to_string(), reason });
        }
        whole.extend_from_slice(&chunk);
    }
}

/// What an answer that is no success says is wrong.
pub(crate) async fn refusal(response: Response) -> Error {
    let status = response.status();
    let headers = response.headers().clone();
    let document = body(response, MAX_ERROR_DOCUMENT).await.unwrap_or_default();
    crate::session::refusal(status, &headers, &document)
}
