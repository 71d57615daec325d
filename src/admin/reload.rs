//! `POST /api/config/reload`: reads the configuration again, and answers with what came of it.

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::Admin;
use crate::runtime::{NotNow, Permission, Refusal, describe};

/// Answers when the new configuration runs, or when it is known why it does not.
pub(super) async fn reload(State(admin): State<Admin>, headers: HeaderMap) -> Response {
    match admin.control.permits(token(&headers)) {
        Permission::Granted => {}
        Permission::Unproven => return unproven(),
        Permission::Impossible => {
            let message = "there is no token: set [service.admin] token, and send it as Authorization: Bearer TOKEN";
            return refuse(StatusCode::FORBIDDEN, message);
        }
    }
    match admin.control.reload().await {
        Ok((number, outcome)) => {
            let code = match &outcome {
                Ok(_) => StatusCode::OK,
                Err(Refusal::Unreadable(_)) => StatusCode::BAD_REQUEST,
                Err(Refusal::Panic(_)) => StatusCode::INTERNAL_SERVER_ERROR,
                Err(_) => StatusCode::UNPROCESSABLE_ENTITY,
            };
            (code, Json(describe(number, &outcome))).into_response()
        }
        Err(NotNow::UnderWay(number)) => {
            let message = format!("reload {number} is under way; ask again when it is done");
            let body = json!({ "ok": false, "message": message, "reload": number });
            (StatusCode::CONFLICT, Json(body)).into_response()
        }
        Err(NotNow::Ending) => refuse(StatusCode::SERVICE_UNAVAILABLE, "the process is ending"),
    }
}

/// The token that a request shows.
fn token(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unproven() -> Response {
    let message = "send the token of [service.admin] as Authorization: Bearer TOKEN";
    let mut response = refuse(StatusCode::UNAUTHORIZED, message);
    let scheme = header::HeaderValue::from_static("Bearer");
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, scheme);
    response
}

fn refuse(code: StatusCode, message: &str) -> Response {
    let body: Value = json!({ "ok": false, "message": message });
    (code, Json(body)).into_response()
}
