//! `/containers`: life, listing, inspection. Streams are in `containers/streams.rs`, what is yet to come in `absent.rs`.

mod streams;

use axum::extract::Path;
use axum::http::HeaderMap;
use axum::routing::{delete, get, post};
use barge_api::containers::{CreateRequest, UpdateRequest};
use barge_engine::Error;
use barge_engine::containers::{ListOptions, RemoveOptions, StopOptions};

use super::{Context, Routes};
use crate::extract::{Json, Query, RequiredJson, Speaks};
use crate::failure::Answer;
use crate::{respond, views};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/containers/json", get(list))
        .route("/containers/create", post(create))
        .route("/containers/prune", post(prune))
        .route("/containers/{id}", delete(remove))
        .route("/containers/{id}/json", get(inspect))
        .route("/containers/{id}/top", get(top))
        .route("/containers/{id}/start", post(start))
        .route("/containers/{id}/stop", post(stop))
        .route("/containers/{id}/restart", post(restart))
        .route("/containers/{id}/kill", post(kill))
        .route("/containers/{id}/pause", post(pause))
        .route("/containers/{id}/unpause", post(unpause))
        .route("/containers/{id}/rename", post(rename))
        .route("/containers/{id}/resize", post(resize))
        .route("/containers/{id}/update", post(update))
        .merge(streams::routes())
}

async fn list(app: Context, Speaks(version): Speaks, query: Query) -> Answer {
    let options = ListOptions {
        all: query.flag("all"),
        limit: query
            .number::<i64>("limit")?
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0),
        size: query.flag("size"),
        filters: query.filters()?,
    };
    let containers = app.engine.containers.list(&app.engine, options).await?;
    respond::json(&views::containers::list(containers, version))
}

async fn create(
    app: Context,
    Speaks(version): Speaks,
    query: Query,
    RequiredJson(mut request): RequiredJson<CreateRequest>,
) -> Answer {
    let warnings = views::containers::create_request(&mut request, version)?;
    let platform = query.text("platform").filter(|_| version.at_least(41));
    let mut made = app.engine.containers.create(&app.engine, query.text("name"), platform, request).await?;
    made.warnings.extend(warnings);
    respond::created(&made)
}

async fn inspect(app: Context, Speaks(version): Speaks, Path(id): Path<String>, query: Query) -> Answer {
    let container = app.engine.containers.inspect(&app.engine, &id, query.flag("size")).await?;
    respond::json(&views::containers::inspect(container, version))
}

async fn top(app: Context, Path(id): Path<String>, query: Query) -> Answer {
    respond::json(&app.engine.containers.top(&id, query.text("ps_args").unwrap_or_default()).await?)
}

async fn start(app: Context, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let length = headers.get("content-length").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.unwrap_or(0) > 7 || headers.contains_key("transfer-encoding") {
        let reason = "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24";
        return Err(Error::invalid(reason).into());
    }
    app.handshakes.settled(&id).await;
    app.engine.containers.start(&app.engine, &id).await?;
    respond::no_content()
}

fn stop_options(query: &Query, version: barge_api::ApiVersion) -> Answer<StopOptions> {
    let signal = query.text("signal").filter(|_| version.at_least(42)).map(str::to_owned);
    Ok(StopOptions { signal, timeout: query.number("t")? })
}

async fn stop(app: Context, Speaks(version): Speaks, Path(id): Path<String>, query: Query) -> Answer {
    app.engine.containers.stop(&app.engine, &id, stop_options(&query, version)?).await?;
    respond::no_content()
}

async fn restart(app: Context, Speaks(version): Speaks, Path(id): Path<String>, query: Query) -> Answer {
    app.engine.containers.restart(&app.engine, &id, stop_options(&query, version)?).await?;
    respond::no_content()
}

async fn kill(app: Context, Path(id): Path<String>, query: Query) -> Answer {
    let killed = app.engine.containers.kill(&app.engine, &id, query.text("signal")).await;
    killed.map_err(|error| error.within(format_args!("cannot kill container: {id}")))?;
    respond::no_content()
}

async fn pause(app: Context, Path(id): Path<String>) -> Answer {
    app.engine.containers.pause(&app.engine, &id).await?;
    respond::no_content()
}

async fn unpause(app: Context, Path(id): Path<String>) -> Answer {
    app.engine.containers.unpause(&app.engine, &id).await?;
    respond::no_content()
}

async fn rename(app: Context, Path(id): Path<String>, query: Query) -> Answer {
    app.engine.containers.rename(&app.engine, &id, query.text("name").unwrap_or_default()).await?;
    respond::no_content()
}

async fn resize(app: Context, Path(id): Path<String>, query: Query) -> Answer {
    let (rows, cols) = size(&query)?;
    app.engine.containers.resize(&app.engine, &id, rows, cols).await?;
    Ok(axum::response::Response::default())
}

/// `h` and `w`: rows and columns of a terminal.
pub(super) fn size(query: &Query) -> Answer<(u16, u16)> {
    let side = |name: &str| {
        let missing = || Error::invalid(format!("invalid resize {name}: missing"));
        query.number::<u16>(name)?.ok_or_else(|| missing().into())
    };
    side("h").and_then(|rows| Ok((rows, side("w")?)))
}

async fn update(
    app: Context,
    Speaks(version): Speaks,
    Path(id): Path<String>,
    Json(request): Json<UpdateRequest>,
) -> Answer {
    let request = views::containers::update_request(request, version);
    respond::json(&app.engine.containers.update(&app.engine, &id, request).await?)
}

async fn remove(app: Context, Path(id): Path<String>, query: Query) -> Answer {
    let options =
        RemoveOptions { force: query.flag("force"), volumes: query.flag("v"), link: query.flag("link") };
    app.engine.containers.remove(&app.engine, &id, options).await?;
    respond::no_content()
}

async fn prune(app: Context, query: Query) -> Answer {
    respond::json(&app.engine.containers.prune(&app.engine, &query.filters()?).await?)
}
