//! `/plugins`: there are none, and none can be installed yet.

use axum::extract::Path;
use axum::routing::{get, post};
use barge_engine::Error;

use super::Routes;
use crate::failure::{Answer, Failure};
use crate::respond;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/plugins", get(list))
        .route("/plugins/privileges", get(absent))
        .route("/plugins/pull", post(absent))
        .route("/plugins/create", post(absent))
        .route("/plugins/{*rest}", get(missing).post(missing).delete(missing))
}

async fn list() -> Answer {
    respond::json(&[(); 0])
}

async fn absent() -> Failure {
    Error::not_implemented("plugins are not supported by this engine").into()
}

/// Any verb on a plugin: its name may have slashes, the verb is the last word.
async fn missing(Path(rest): Path<String>) -> Failure {
    const VERBS: [&str; 6] = ["json", "enable", "disable", "upgrade", "push", "set"];
    let name = match rest.rsplit_once('/') {
        Some((name, verb)) if VERBS.contains(&verb) => name,
        _ => &rest,
    };
    Error::not_found(format!("plugin \"{name}\" not found")).into()
}
