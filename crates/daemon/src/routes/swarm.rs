//! `/swarm`, `/nodes`, `/services`, `/tasks`, `/secrets`, `/configs`: what dockerd says on a node outside a swarm.

use axum::routing::{any, get, post};
use barge_engine::{Error, Kind};

use super::Routes;
use crate::failure::Failure;

/// Nouns that only a manager answers about.
const NOUNS: [&str; 5] = ["nodes", "services", "tasks", "secrets", "configs"];

pub(super) fn routes() -> Routes {
    let mut routes = Routes::new()
        .route("/swarm", get(not_a_manager))
        .route("/swarm/init", post(absent))
        .route("/swarm/join", post(absent))
        .route("/swarm/leave", post(not_in_a_swarm))
        .route("/swarm/update", post(not_a_manager))
        .route("/swarm/unlockkey", get(not_a_manager))
        .route("/swarm/unlock", post(not_in_a_swarm));
    for noun in NOUNS {
        routes = routes
            .route(&format!("/{noun}"), any(not_a_manager))
            .route(&format!("/{noun}/{{*rest}}"), any(not_a_manager));
    }
    routes
}

pub(super) async fn not_a_manager() -> Failure {
    let reason = "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this \
                  node to swarm and try again.";
    Error::new(Kind::Unavailable, reason).into()
}

async fn not_in_a_swarm() -> Failure {
    Error::new(Kind::Unavailable, "This node is not part of a swarm").into()
}

async fn absent() -> Failure {
    Error::not_implemented("swarm mode is not supported by this engine yet").into()
}
