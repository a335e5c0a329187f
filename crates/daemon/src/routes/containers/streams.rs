//! `/containers/{id}` as streams: attach, logs, wait.

use axum::body::Body;
use axum::extract::{Path, Request};
use axum::routing::{get, post};
use barge_api::containers::WaitCondition;
use barge_engine::Error;
use barge_engine::containers::{AttachOptions, LogsOptions};
use futures_util::{FutureExt, TryStreamExt, stream};

use super::super::{Context, Routes};
use crate::extract::{Query, Speaks};
use crate::failure::Answer;
use crate::hijack::{Hijack, content_type};
use crate::respond;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/containers/{id}/attach", post(attach))
        .route("/containers/{id}/logs", get(logs))
        .route("/containers/{id}/wait", post(wait))
}

async fn attach(
    app: Context,
    Speaks(version): Speaks,
    Path(id): Path<String>,
    query: Query,
    request: Request,
) -> Answer {
    let tty = app.engine.containers.check_attach(&id)?;
    let options = attach_options(&query);
    let handshake = app.handshakes.begin(&id);
    Ok(Hijack::of(request).respond(content_type(tty, version), move |stream| async move {
        let attached = app.engine.containers.attach(&app.engine, &id, options, stream).await;
        drop(handshake);
        attached
    }))
}

fn attach_options(query: &Query) -> AttachOptions {
    AttachOptions {
        stdin: query.flag("stdin"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        logs: query.flag("logs"),
        stream: query.flag("stream"),
        detach_keys: query.text("detachKeys").map(str::to_owned),
    }
}

async fn logs(app: Context, Speaks(version): Speaks, Path(id): Path<String>, query: Query) -> Answer {
    let options = logs_options(&query);
    if !options.stdout && !options.stderr {
        return Err(Error::invalid("Bad parameters: you must choose at least one stream").into());
    }
    let logs = app.engine.containers.logs(&app.engine, &id, options).await?;
    Ok(respond::body(content_type(logs.tty, version), Body::from_stream(logs.stream.into_stream())))
}

fn logs_options(query: &Query) -> LogsOptions {
    let text = |name: &str| query.text(name).unwrap_or_default().to_owned();
    LogsOptions {
        follow: query.flag("follow"),
        stdout: query.flag("stdout"),
        stderr: query.flag("stderr"),
        since: text("since"),
        until: text("until"),
        timestamps: query.flag("timestamps"),
        details: query.flag("details"),
        tail: text("tail"),
    }
}

/// The headers go out at once: clients start the container only when they have them.
async fn wait(app: Context, Speaks(version): Speaks, Path(id): Path<String>, query: Query) -> Answer {
    let condition = query.text("condition").filter(|_| version.at_least(30)).unwrap_or_default();
    let invalid = || Error::invalid(format!("invalid condition: \"{condition}\""));
    let condition: WaitCondition = condition.parse().map_err(|_| invalid())?;
    let waiting = app.engine.containers.wait(&id, condition)?;
    let line = waiting.map(|response| respond::line(&response));
    if !version.at_least(30) {
        return Ok(respond::body("application/json", Body::from(line.await?)));
    }
    let line = line.map(|line| line.map_err(|error| error.to_string()));
    Ok(respond::body("application/json", Body::from_stream(stream::once(line))))
}
