//! `/exec` and `/containers/{id}/exec`: further processes in running containers.

use axum::extract::{Path, Request};
use axum::routing::{get, post};
use barge_api::exec::{ExecConfig, ExecStartRequest};

use super::containers::size;
use super::{Context, Routes};
use crate::extract::{Json, Query, Speaks, read_json};
use crate::failure::Answer;
use crate::hijack::{Hijack, content_type};
use crate::respond;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/containers/{id}/exec", post(create))
        .route("/exec/{id}/json", get(inspect))
        .route("/exec/{id}/start", post(start))
        .route("/exec/{id}/resize", post(resize))
}

async fn create(
    app: Context,
    Speaks(version): Speaks,
    Path(id): Path<String>,
    Json(mut config): Json<ExecConfig>,
) -> Answer {
    if !version.at_least(42) {
        config.console_size = None;
    }
    respond::created(&app.engine.execs.create(&app.engine, &id, config).await?)
}

async fn inspect(app: Context, Path(id): Path<String>) -> Answer {
    respond::json(&app.engine.execs.inspect(&app.engine, &id).await?)
}

/// The body is JSON, what comes after it the process's input.
async fn start(
    app: Context,
    Speaks(version): Speaks,
    Path(id): Path<String>,
    mut request: Request,
) -> Answer {
    let upgrade = Hijack::upgrade(&mut request);
    let mut options: ExecStartRequest = read_json(request).await?.unwrap_or_default();
    if !version.at_least(42) {
        options.console_size = None;
    }
    let tty = app.engine.execs.check_start(&app.engine, &id, &options)?;
    if options.detach {
        app.engine.execs.start(&app.engine, &id, options, None).await?;
        return Ok(axum::response::Response::default());
    }
    let hijack = Hijack::after_body(upgrade);
    Ok(hijack.respond(content_type(tty, version), move |stream| async move {
        app.engine.execs.start(&app.engine, &id, options, Some(stream)).await
    }))
}

async fn resize(app: Context, Path(id): Path<String>, query: Query) -> Answer {
    let (rows, cols) = size(&query)?;
    app.engine.execs.resize(&app.engine, &id, rows, cols).await?;
    Ok(axum::response::Response::default())
}
