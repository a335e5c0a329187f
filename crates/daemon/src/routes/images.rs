//! `/images`. A name may have slashes, so that everything under a name is one route and the last word picks the verb.

use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use barge_api::ApiVersion;
use barge_engine::Error;
use barge_engine::images::{ImportOptions, ListOptions, PullOptions, PushOptions, RemoveOptions, Verbosity};
use futures_util::TryStreamExt;

use super::{Context, Routes};
use crate::extract::{Query, Speaks, registry_auth};
use crate::failure::{Answer, Failure};
use crate::{respond, views};

const JSON: &str = "application/json";
const TAR: &str = "application/x-tar";

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/images/json", get(list))
        .route("/images/create", post(create))
        .route("/images/load", post(load))
        .route("/images/get", get(save_many))
        .route("/images/prune", post(prune))
        .route("/images/{*rest}", get(read).post(write).delete(remove))
}

async fn list(app: Context, Speaks(version): Speaks, query: Query) -> Answer {
    let mut filters = query.filters()?;
    if !version.at_least(25)
        && !filters.contains("reference")
        && let Some(pattern) = query.text("filter")
    {
        filters.add("reference", pattern);
    }
    let shared_size = version.at_least(42) && query.flag("shared-size");
    let options = ListOptions { all: query.flag("all"), shared_size, filters };
    let images = app.engine.images.list(options).await?;
    respond::json(&views::images::list(images, version))
}

/// A pull, or an import where no image is named.
async fn create(app: Context, Speaks(version): Speaks, query: Query, request: Request) -> Answer {
    let platform = query.text("platform").filter(|_| version.at_least(32)).unwrap_or_default().to_owned();
    let messages = if query.text("fromImage").is_some() {
        let options = pull_options(&query, platform, request.headers());
        app.engine.images.pull(&app.engine, options).await?
    } else {
        let options = import_options(&query, platform, request);
        app.engine.images.import(&app.engine, options).await?
    };
    Ok(respond::lines(JSON, messages))
}

fn pull_options(query: &Query, platform: String, headers: &HeaderMap) -> PullOptions {
    let text = |name: &str| query.text(name).unwrap_or_default().to_owned();
    let auth = registry_auth(headers).unwrap_or_default();
    PullOptions { from_image: text("fromImage"), tag: text("tag"), platform, auth }
}

fn import_options(query: &Query, platform: String, request: Request) -> ImportOptions {
    let text = |name: &str| query.text(name).unwrap_or_default().to_owned();
    ImportOptions {
        source: text("fromSrc"),
        repository: text("repo"),
        tag: text("tag"),
        message: text("message"),
        changes: query.all("changes").map(str::to_owned).collect(),
        platform,
        body: incoming(request),
    }
}

fn incoming(request: Request) -> barge_engine::images::Body {
    Box::pin(request.into_body().into_data_stream().map_err(std::io::Error::other))
}

async fn load(app: Context, query: Query, request: Request) -> Answer {
    let verbosity = if query.flag_or("quiet", true) { Verbosity::Quiet } else { Verbosity::Progress };
    Ok(respond::lines(JSON, app.engine.images.load(&app.engine, incoming(request), verbosity).await?))
}

async fn save_many(app: Context, query: Query) -> Answer {
    let names: Vec<String> = query.all("names").map(str::to_owned).collect();
    save(&app, names).await
}

async fn save(app: &Context, names: Vec<String>) -> Answer {
    Ok(respond::body(TAR, Body::from_stream(app.engine.images.save(&app.engine, names).await?)))
}

async fn prune(app: Context, query: Query) -> Answer {
    respond::json(&app.engine.images.prune(&app.engine, query.filters()?).await?)
}

/// `GET /images/{name}/{json,history,get}`.
async fn read(app: Context, Speaks(version): Speaks, Path(rest): Path<String>) -> Answer {
    match verb(&rest)? {
        (name, "json") => inspect(&app, name, version).await,
        (name, "history") => respond::json(&app.engine.images.history(name).await?),
        (name, "get") => save(&app, vec![name.to_owned()]).await,
        _ => Err(Failure::not_found_page()),
    }
}

async fn inspect(app: &Context, name: &str, version: ApiVersion) -> Answer {
    respond::json(&views::images::inspect(app.engine.images.inspect(name).await?, version))
}

/// `POST /images/{name}/{push,tag}`.
async fn write(app: Context, Path(rest): Path<String>, query: Query, headers: HeaderMap) -> Answer {
    let text = |name: &str| query.text(name).unwrap_or_default();
    match verb(&rest)? {
        (name, "push") => {
            let auth = registry_auth(&headers).unwrap_or_default();
            let options = PushOptions { tag: text("tag").to_owned(), auth };
            Ok(respond::lines(JSON, app.engine.images.push(&app.engine, name, options).await?))
        }
        (name, "tag") => {
            app.engine.images.tag(&app.engine, name, text("repo"), text("tag")).await?;
            Ok(respond::empty_created())
        }
        _ => Err(Failure::not_found_page()),
    }
}

async fn remove(app: Context, Path(name): Path<String>, query: Query) -> Answer {
    if name.trim().is_empty() {
        return Err(Error::invalid("image name cannot be blank").into());
    }
    let options = RemoveOptions { force: query.flag("force"), no_prune: query.flag("noprune") };
    respond::json(&app.engine.images.remove(&app.engine, &name, options).await?)
}

/// `library/busybox` and `json` of `library/busybox/json`.
fn verb(rest: &str) -> Answer<(&str, &str)> {
    rest.rsplit_once('/').ok_or_else(Failure::not_found_page)
}
