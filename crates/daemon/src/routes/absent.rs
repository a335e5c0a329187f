//! Paths of the API that this engine does not serve yet: 501 with what is missing, so that nobody takes it for a typo.

use axum::routing::{any, post};
use barge_engine::Error;
use serde_json::json;

use super::Routes;
use crate::failure::{Answer, Failure};
use crate::respond;

pub(super) fn routes() -> Routes {
    let mut routes = Routes::new().route("/build/prune", post(prune_build_cache));
    let absent = [
        ("/build", "building images"),
        ("/build/cancel", "building images"),
        ("/session", "building images with BuildKit"),
        ("/grpc", "building images with BuildKit"),
        ("/commit", "committing containers"),
        ("/images/search", "searching registries"),
        ("/containers/{id}/stats", "container statistics"),
        ("/containers/{id}/changes", "listing a container's changes"),
        ("/containers/{id}/export", "exporting containers"),
        ("/containers/{id}/archive", "copying files from and to containers"),
        ("/containers/{id}/attach/ws", "attaching by websocket"),
        ("/networks/{id}/connect", "connecting a container to a further network"),
        ("/networks/{id}/disconnect", "disconnecting a container from a network"),
        ("/containers/{id}/checkpoints", "checkpoints"),
        ("/containers/{id}/checkpoints/{checkpoint}", "checkpoints"),
    ];
    for (path, what) in absent {
        routes = routes.route(path, any(move || refuse(what)));
    }
    routes
}

async fn refuse(what: &'static str) -> Failure {
    Error::not_implemented(format!("{what} is not supported by this engine yet")).into()
}

/// Nothing is built, so nothing is cached, and `docker system prune` goes on.
async fn prune_build_cache() -> Answer {
    respond::json(&json!({ "CachesDeleted": null, "SpaceReclaimed": 0 }))
}
