//! `/volumes`.

use axum::extract::Path;
use axum::routing::{get, post, put};
use barge_api::volumes::VolumeCreateRequest;
use barge_engine::volumes::Missing;

use super::{Context, Routes, swarm};
use crate::blocking::blocking;
use crate::extract::{Json, Query, Speaks};
use crate::failure::Answer;
use crate::respond;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/volumes", get(list))
        .route("/volumes/create", post(create))
        .route("/volumes/prune", post(prune))
        .route("/volumes/{*name}", get(inspect).delete(remove).merge(put(swarm::not_a_manager)))
}

async fn list(app: Context, query: Query) -> Answer {
    let users = |name: &str| app.engine.containers.users_of_volume(name).len();
    respond::json(&app.engine.volumes.list(&query.filters()?, users)?)
}

async fn create(app: Context, Json(request): Json<VolumeCreateRequest>) -> Answer {
    let engine = app.engine.clone();
    respond::created(&blocking(move || engine.volumes.create(&engine, request)).await?)
}

async fn inspect(app: Context, Path(name): Path<String>) -> Answer {
    respond::json(&app.engine.volumes.inspect(&name)?)
}

async fn remove(app: Context, Path(name): Path<String>, query: Query) -> Answer {
    let missing = if query.flag("force") { Missing::Fine } else { Missing::Refused };
    let engine = app.engine.clone();
    blocking(move || engine.volumes.remove(&engine, &name, missing)).await?;
    respond::no_content()
}

async fn prune(app: Context, Speaks(version): Speaks, query: Query) -> Answer {
    let mut filters = query.filters()?;
    if !version.at_least(42) {
        // Named volumes were pruned as well then.
        filters.add("all", "true");
    }
    let engine = app.engine.clone();
    respond::json(&blocking(move || engine.volumes.prune(&engine, &filters)).await?)
}
