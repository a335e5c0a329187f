//! A request from its first line to the response's headers: version, routing, headers on everything, the log.
//!
//! ```text
//! /v1.44/containers/json ──> version 1.44 checked ──> router ──> /containers/json ──> routes/containers.rs
//! ```

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Request, Uri, header};
use axum::response::{IntoResponse, Response};
use barge_api::system::header::{API_VERSION, DOCKER_EXPERIMENTAL, OSTYPE};
use barge_api::versions::{ApiVersion, MAX, MIN};
use barge_engine::{Engine, Error};
use hyper::body::{Frame, SizeHint};
use tower::ServiceExt;

use crate::activity::{self, Activity};
use crate::failure::Failure;
use crate::hijack::Handshakes;
use crate::routes;

/// Everything a request needs.
pub(crate) struct Api {
    router: Router,
    headers: HeaderMap,
    pub(crate) activity: Arc<Activity>,
}

/// What every handler gets.
pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    pub(crate) handshakes: Handshakes,
}

impl Api {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        let headers = headers(&engine);
        let app = Arc::new(App { engine, handshakes: Handshakes::default() });
        Self { router: routes::router(app), headers, activity: Arc::new(Activity::new()) }
    }

    /// Answers one request, which is under way until the response's body has been sent.
    pub(crate) async fn answer(&self, request: Request<Body>, under_way: activity::Request) -> Response {
        let begun = Instant::now();
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let mut response = match versioned(request) {
            Ok(request) => self.route(request).await,
            Err(refused) => refused.into_response(),
        };
        response.headers_mut().extend(self.headers.clone());
        let status = response.status().as_u16();
        tracing::debug!(%method, uri = %uri.path(), status, elapsed = ?begun.elapsed(), "answered");
        response.map(|body| Body::new(Counted { body, _under_way: under_way }))
    }

    async fn route(&self, request: Request<Body>) -> Response {
        match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

/// What every response carries.
fn headers(engine: &Engine) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let server = format!("Docker/{} (linux)", barge_engine::system::COMPATIBLE);
    for (name, value) in [
        (API_VERSION, MAX.to_string()),
        (OSTYPE, "linux".to_owned()),
        (DOCKER_EXPERIMENTAL, engine.config.experimental.to_string()),
        (header::SERVER.as_str(), server),
    ] {
        if let (Ok(name), Ok(value)) = (name.parse::<header::HeaderName>(), HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    headers
}

/// The request without its version prefix, which becomes an extension; without a prefix it speaks the newest.
fn versioned(mut request: Request<Body>) -> Result<Request<Body>, Failure> {
    let path = request.uri().path();
    let Some((version, rest)) = split_version(path) else {
        request.extensions_mut().insert(MAX);
        return Ok(request);
    };
    let version = checked(version)?;
    let rest = match request.uri().query() {
        Some(query) => format!("{rest}?{query}"),
        None => rest.to_owned(),
    };
    let uri: Uri = rest.parse().map_err(|_| Failure::not_found_page())?;
    *request.uri_mut() = uri;
    request.extensions_mut().insert(version);
    Ok(request)
}

/// `1.44` and `/containers/json` of `/v1.44/containers/json`.
fn split_version(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/v")?;
    let end = rest.find('/')?;
    let (version, rest) = rest.split_at(end);
    let is_version = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_version.then_some((version, rest))
}

fn checked(text: &str) -> Result<ApiVersion, Failure> {
    let version: ApiVersion =
        text.parse().map_err(|error: barge_api::Error| Error::invalid(error.to_string()))?;
    if version > MAX {
        let reason = format!("client version {text} is too new. Maximum supported API version is {MAX}");
        return Err(Error::invalid(reason).into());
    }
    if version < MIN {
        return Err(Error::invalid(format!(
            "client version {text} is too old. Minimum supported API version is {MIN}, please upgrade your client \
             to a newer version"
        ))
        .into());
    }
    Ok(version)
}

/// A body that counts as a request under way until it is dropped.
struct Counted {
    body: Body,
    _under_way: activity::Request,
}

impl hyper::body::Body for Counted {
    type Data = bytes::Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_prefixes() {
        let cases = [
            ("/v1.44/containers/json", Some(("1.44", "/containers/json"))),
            ("/v1.44/", Some(("1.44", "/"))),
            ("/v1.44", None),
            ("/volumes/x", None),
            ("/v/x", None),
            ("/version", None),
            ("/v1x/y", None),
        ];
        for (path, expected) in cases {
            assert_eq!(split_version(path), expected, "{path}");
        }
    }

    #[test]
    fn versions_out_of_range_are_refused() {
        assert!(checked("1.24").is_ok() && checked(&MAX.to_string()).is_ok());
        let message = |text| checked(text).unwrap_err().to_string();
        assert_eq!(
            message("1.23"),
            "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade your client to a \
             newer version"
        );
        assert_eq!(
            message("9.0"),
            format!("client version 9.0 is too new. Maximum supported API version is {MAX}")
        );
        assert!(checked("1..2").is_err());
    }
}
