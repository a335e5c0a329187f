//! Every path of the Engine API, one file per noun. A handler decodes, calls the engine once and encodes.
//!
//! Unknown paths and methods are `404 page not found`, as dockerd's router answers both.

mod absent;
mod containers;
mod distribution;
mod exec;
mod images;
mod networks;
mod plugins;
mod swarm;
mod system;
mod volumes;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::IntoResponse;

use crate::api::App;
use crate::failure::Failure;

/// What handlers get the engine from.
type Context = State<Arc<App>>;

/// Routes that still want their [`App`].
type Routes = Router<Arc<App>>;

/// The whole API without version prefixes.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(containers::routes())
        .merge(exec::routes())
        .merge(images::routes())
        .merge(volumes::routes())
        .merge(networks::routes())
        .merge(system::routes())
        .merge(distribution::routes())
        .merge(plugins::routes())
        .merge(swarm::routes())
        .merge(absent::routes())
        .fallback(page_not_found)
        .method_not_allowed_fallback(page_not_found)
        .layer(DefaultBodyLimit::disable())
        .with_state(app)
}

async fn page_not_found(method: axum::http::Method) -> axum::response::Response {
    // The one method that every path has.
    if method == axum::http::Method::OPTIONS {
        return axum::http::StatusCode::OK.into_response();
    }
    Failure::not_found_page().into_response()
}
