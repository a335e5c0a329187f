//! `/distribution/{name}/json`: what a registry has under a name.

use axum::extract::Path;
use axum::http::HeaderMap;
use axum::routing::get;

use super::{Context, Routes};
use crate::extract::registry_auth;
use crate::failure::{Answer, Failure};
use crate::respond;

pub(super) fn routes() -> Routes {
    Routes::new().route("/distribution/{*rest}", get(inspect))
}

async fn inspect(app: Context, Path(rest): Path<String>, headers: HeaderMap) -> Answer {
    let name = rest.strip_suffix("/json").ok_or_else(Failure::not_found_page)?;
    let auth = registry_auth(&headers).unwrap_or_default();
    respond::json(&app.engine.images.distribution(name, auth).await?)
}
