//! `/networks`.

use axum::extract::Path;
use axum::routing::{get, post};
use barge_api::networks::NetworkCreateRequest;

use super::{Context, Routes};
use crate::blocking::blocking;
use crate::extract::{Query, RequiredJson};
use crate::failure::Answer;
use crate::respond;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/networks", get(list))
        .route("/networks/", get(list))
        .route("/networks/create", post(create))
        .route("/networks/prune", post(prune))
        .route("/networks/{id}", get(inspect).delete(remove))
}

async fn list(app: Context, query: Query) -> Answer {
    respond::json(&app.engine.networks.list(&query.filters()?)?)
}

async fn create(app: Context, RequiredJson(request): RequiredJson<NetworkCreateRequest>) -> Answer {
    let engine = app.engine.clone();
    respond::created(&blocking(move || engine.networks.create(&engine, request)).await?)
}

async fn inspect(app: Context, Path(id): Path<String>) -> Answer {
    respond::json(&app.engine.networks.inspect(&app.engine, &id)?)
}

async fn remove(app: Context, Path(id): Path<String>) -> Answer {
    let engine = app.engine.clone();
    blocking(move || engine.networks.remove(&engine, &id)).await?;
    respond::no_content()
}

async fn prune(app: Context, query: Query) -> Answer {
    let (engine, filters) = (app.engine.clone(), query.filters()?);
    respond::json(&blocking(move || engine.networks.prune(&engine, &filters)).await?)
}
