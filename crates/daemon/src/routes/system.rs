//! `/_ping`, `/version`, `/info`, `/events`, `/auth`, `/system/df`.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use barge_api::ApiVersion;
use barge_api::system::AuthConfig;
use barge_api::system::header::{BUILDER_VERSION, SWARM};
use barge_engine::Error;
use barge_engine::events::Subscription;
use barge_engine::system::Objects;
use futures_util::StreamExt;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{Context, Routes};
use crate::extract::{Json, Query, Speaks};
use crate::failure::Answer;
use crate::views::system::Detail;
use crate::{respond, views};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/_ping", get(ping).head(ping))
        .route("/version", get(version))
        .route("/info", get(info))
        .route("/events", get(events))
        .route("/auth", post(auth))
        .route("/system/df", get(disk_usage))
}

/// Builder version 1: the classic one is all that `docker build` may hope for while there is no BuildKit.
async fn ping() -> Response {
    let headers = [
        (header::CACHE_CONTROL.as_str(), "no-cache, no-store, must-revalidate"),
        (header::PRAGMA.as_str(), "no-cache"),
        (header::CONTENT_TYPE.as_str(), "text/plain; charset=utf-8"),
        (BUILDER_VERSION, "1"),
        (SWARM, "inactive"),
    ];
    (headers, "OK").into_response()
}

async fn version(app: Context) -> Answer {
    respond::json(&app.engine.system.version(&app.engine))
}

async fn info(app: Context, Speaks(version): Speaks) -> Answer {
    let info = app.engine.system.info(&app.engine).await?;
    respond::json(&views::system::info(info, version))
}

async fn events(app: Context, Speaks(version): Speaks, query: Query, headers: HeaderMap) -> Answer {
    let subscription = Subscription {
        since: moment(&query, "since")?,
        until: moment(&query, "until")?,
        filters: query.filters()?,
    };
    if let (Some(since), Some(until)) = (subscription.since, subscription.until)
        && until < since
    {
        let text = |name: &str| query.text(name).unwrap_or_default().to_owned();
        let (since, until) = (text("since"), text("until"));
        return Err(
            Error::invalid(format!("`since` time ({since}) cannot be after `until` time ({until})")).into()
        );
    }
    let messages = app.engine.events.subscribe(subscription);
    let seen =
        messages.filter_map(move |message| std::future::ready(views::events::event(&message, version)));
    let kind = stream_type(&headers);
    Ok(match kind {
        SEQUENCE => respond::body(kind, Body::from_stream(seen.map(|message| record(&message)))),
        _ => respond::lines(kind, seen),
    })
}

const SEQUENCE: &str = "application/json-seq";

/// What kind of JSON stream the client prefers. Plain `application/json` is what it always was called.
fn stream_type(headers: &HeaderMap) -> &'static str {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = ["application/x-ndjson", "application/jsonl", SEQUENCE, "application/json"];
    let wanted = accepted.split(',').map(|part| part.split(';').next().unwrap_or_default().trim());
    wanted
        .filter_map(|word| known.iter().find(|kind| **kind == word))
        .next()
        .copied()
        .unwrap_or("application/json")
}

/// One record of RFC 7464.
fn record(message: &barge_api::events::EventMessage) -> Result<bytes::Bytes, Error> {
    let line = respond::line(message)?;
    Ok([b"\x1e".as_slice(), &line].concat().into())
}

fn moment(query: &Query, name: &str) -> Answer<Option<Timestamp>> {
    let Some(text) = query.text(name) else { return Ok(None) };
    let moment = barge_api::time::parse(text, Timestamp::now(), &TimeZone::system());
    Ok(Some(moment.map_err(|error| Error::invalid(error.to_string()))?))
}

async fn auth(app: Context, Json(credentials): Json<AuthConfig>) -> Answer {
    respond::json(&app.engine.images.login(credentials).await?)
}

async fn disk_usage(app: Context, Speaks(version): Speaks, query: Query) -> Answer {
    let usage = app.engine.system.disk_usage(&app.engine, objects(&query, version)?).await?;
    respond::json(&views::system::disk_usage(usage, detail(&query, version)?, version))
}

fn objects(query: &Query, version: ApiVersion) -> Answer<Objects> {
    let mut kinds = query.all("type").peekable();
    if !version.at_least(42) || kinds.peek().is_none() {
        return Ok(Objects::ALL);
    }
    let mut objects = Objects::NONE;
    for kind in kinds {
        match kind {
            "container" => objects.containers = true,
            "image" => objects.images = true,
            "volume" => objects.volumes = true,
            "build-cache" => objects.build_cache = true,
            other => return Err(Error::invalid(format!("unknown object type: {other}")).into()),
        }
    }
    Ok(objects)
}

fn detail(query: &Query, version: ApiVersion) -> Answer<Detail> {
    match query.text("verbose").filter(|_| version.at_least(52)) {
        None => Ok(Detail::Legacy),
        Some("1" | "t" | "T" | "true" | "True" | "TRUE") => Ok(Detail::Verbose),
        Some("0" | "f" | "F" | "false" | "False" | "FALSE") => Ok(Detail::Sums),
        Some(other) => Err(Error::invalid(format!("invalid value for verbose: {other}")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_types_are_negotiated() {
        let cases = [
            ("", "application/json"),
            ("*/*", "application/json"),
            ("application/json-seq", SEQUENCE),
            ("text/html, application/x-ndjson;q=0.9", "application/x-ndjson"),
        ];
        for (accept, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(stream_type(&headers), expected, "{accept}");
        }
    }
}
