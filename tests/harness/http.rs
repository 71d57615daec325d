//! HTTP as a test needs it: status and body, whatever the status.

use std::time::Duration;

use serde_json::Value;

/// Asks; the answer is the status and the body. Status 0 when there is no answer.
pub(crate) fn get(url: &str) -> (u16, String) {
    match agent().get(url).call() {
        Ok(mut answer) => {
            let status = answer.status().as_u16();
            (
                status,
                answer.body_mut().read_to_string().unwrap_or_default(),
            )
        }
        Err(error) => (0, error.to_string()),
    }
}

/// Sends JSON with any method that has a body.
pub(crate) fn send(method: &str, url: &str, body: &Value) -> (u16, String) {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("content-type", "application/json")
        .body(body.to_string())
        .expect("a request");
    match agent().run(request) {
        Ok(mut answer) => {
            let status = answer.status().as_u16();
            let body = answer
                .body_mut()
                .with_config()
                .limit(512 << 20)
                .read_to_string();
            (status, body.unwrap_or_default())
        }
        Err(error) => (0, error.to_string()),
    }
}

/// Posts nothing, with a token where one is given; status and body as JSON.
pub(crate) fn post(url: &str, token: Option<&str>) -> (u16, Value) {
    let mut request = agent().post(url);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    match request.send_empty() {
        Ok(mut answer) => {
            let body = answer.body_mut().read_to_string().unwrap_or_default();
            let body = serde_json::from_str(&body).unwrap_or(Value::String(body));
            (answer.status().as_u16(), body)
        }
        Err(error) => (0, Value::String(error.to_string())),
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_mins(1)))
        .build()
        .into()
}
