//! The shapes of responses: JSON, JSON lines, no content.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use barge_engine::Error;
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use serde::Serialize;

use crate::failure::Answer;

/// 200 with a JSON body.
pub(crate) fn json<T: Serialize>(value: &T) -> Answer {
    with_status(StatusCode::OK, value)
}

/// 201 with a JSON body.
pub(crate) fn created<T: Serialize>(value: &T) -> Answer {
    with_status(StatusCode::CREATED, value)
}

/// 204.
pub(crate) fn no_content() -> Answer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

/// A body of this content type.
pub(crate) fn body(content_type: &'static str, body: Body) -> Response {
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn with_status<T: Serialize>(status: StatusCode, value: &T) -> Answer {
    let mut response = body("application/json", Body::from(line(value)?));
    *response.status_mut() = status;
    Ok(response)
}

/// One JSON document and the newline that Go's encoder puts after it.
pub(crate) fn line<T: Serialize>(value: &T) -> Result<Bytes, Error> {
    let mut bytes = serde_json::to_vec(value).map_err(Error::failed("encoding the response"))?;
    bytes.push(b'\n');
    Ok(bytes.into())
}

/// A stream of documents, one a line, each sent as it comes.
pub(crate) fn lines<T: Serialize>(
    content_type: &'static str,
    values: impl Stream<Item = T> + Send + 'static,
) -> Response {
    body(content_type, Body::from_stream(values.map(|value| line(&value))))
}

/// 201 without a body.
pub(crate) fn empty_created() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::CREATED;
    response
}
