//! Every path of the program.

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get};

use super::{App, console, health, plain, upgrade};

/// What clients reach.
pub(super) fn public(app: Arc<App>) -> Router {
    Router::new()
        .route("/graphql", any(upgrade::or_http))
        .route("/topics/{name}", any(plain::serve))
        .route("/", get(console::index))
        .route("/{*file}", get(console::file).fallback(console::other))
        .with_state(app)
}

/// What operators reach.
pub(super) fn admin(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(app)
}
