//! HTTP of the admin port, on a thread of its own, so that probes answer under any load.
//!
//! `/livez`, `/readyz`, `/startupz` and `/metrics` are open. What changes something wants a token (`reload.rs`). Nothing
//! here shows records.

mod exposition;
mod fluentd;
mod reload;

use std::{net::SocketAddr, thread};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{
    config::{Admin as AdminSettings, Compat},
    runtime::{Control, Gauges, Health, Verdict},
};

/// What the handlers share.
#[derive(Debug, Clone)]
struct Admin {
    health: Health,
    gauges: Gauges,
    control: Control,
    compat: Vec<Compat>,
}

/// Why the admin port could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("listen on {address} for the admin port: {source}")]
pub struct AdminError {
    address: SocketAddr,
    source: std::io::Error,
}

/// Binds the address of `settings` and answers on a thread of its own until the process ends. Returns the bound
/// address.
///
/// # Errors
/// [`AdminError`] when the address cannot be bound.
pub fn start(
    settings: &AdminSettings,
    health: Health,
    gauges: Gauges,
    control: Control,
) -> Result<SocketAddr, AdminError> {
    let address = settings.listen.0;
    let failed = |source| AdminError { address, source };
    let listener = std::net::TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(failed)?;
    let app = app(Admin {
        health,
        gauges,
        control,
        compat: settings.compat.clone(),
    });
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        axum::serve(listener, app).await
    };
    let body = move || {
        if let Err(error) = runtime.block_on(serve) {
            tracing::error!(%error, "the admin port failed");
        }
    };
    thread::Builder::new()
        .name("admin".to_owned())
        .spawn(body)
        .map_err(failed)?;
    Ok(bound)
}

fn app(admin: Admin) -> Router {
    let mut router = Router::new()
        .route("/livez", get(livez))
        .route("/readyz", get(readyz))
        .route("/startupz", get(startupz))
        .route("/metrics", get(metrics))
        .route("/api/config/reload", post(reload::reload));
    if admin.compat.contains(&Compat::Fluentd) {
        // Fluentd takes GET too, and that is how scripts call it.
        for path in ["/api/config.reload", "/api/config.gracefulReload"] {
            router = router.route(path, get(reload::reload).post(reload::reload));
        }
    }
    router.with_state(admin)
}

async fn livez(State(admin): State<Admin>) -> Response {
    answer(&admin.health.live())
}

async fn readyz(State(admin): State<Admin>) -> Response {
    answer(&admin.health.ready())
}

async fn startupz(State(admin): State<Admin>) -> Response {
    answer(&admin.health.started())
}

async fn metrics(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let mut text = admin.gauges.encode();
    if admin.compat.contains(&Compat::Fluentd) {
        exposition::insert(&mut text, &fluentd::exposition(admin.gauges.roster()));
    }
    let (content_type, body) = exposition::negotiate(accept, text);
    ([(header::CONTENT_TYPE, content_type)], body).into_response()
}

fn answer(verdict: &Verdict) -> Response {
    let (code, status) = if verdict.ok {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    let body = serde_json::json!({
        "status": status,
        "reasons": verdict.reasons,
        "notes": verdict.notes,
    });
    let body = Json(body);
    (code, body).into_response()
}
