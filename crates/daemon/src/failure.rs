//! A failed request as the client sees it: the one table from the engine's error kinds to status codes.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use barge_api::ErrorResponse;
use barge_engine::{Error, Kind};

/// What a handler answers.
pub(crate) type Answer<T = Response> = Result<T, Failure>;

/// An error on its way out.
#[derive(Debug)]
pub(crate) struct Failure(Error);

impl Failure {
    /// What every unknown path and method gets.
    pub(crate) fn not_found_page() -> Self {
        Self(Error::not_found("page not found"))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.message())
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = status(self.0.kind());
        if status == StatusCode::NOT_MODIFIED {
            return status.into_response();
        }
        let message = self.0.message().to_owned();
        if status.is_server_error() {
            tracing::warn!(error = message, status = status.as_u16(), "request failed");
        }
        (status, Json(ErrorResponse { message })).into_response()
    }
}

fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::InvalidParameter => StatusCode::BAD_REQUEST,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Unauthorized => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        Kind::NotModified => StatusCode::NOT_MODIFIED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::System => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
