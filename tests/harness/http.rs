//! HTTP as a test needs it: status and body, whatever the status.

use std::{fs, path::PathBuf, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// What a guarded server asks for.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// The authority that vouches for the server.
    pub(crate) ca_file: PathBuf,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// Asks; the answer is the status and the body. Status 0 when there is no answer.
pub(crate) fn get(url: &str) -> (u16, String) {
    match agent(None).get(url).call() {
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
    let headers = [("content-type", "application/json")];
    ask((method, url), None, &headers, body.to_string())
}

/// Sends a body of any kind, with headers, to a server that may be guarded.
pub(crate) fn ask(
    (method, url): (&str, &str),
    login: Option<&Login>,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
) -> (u16, String) {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if let Some(Login { user, password, .. }) = login {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        request = request.header("authorization", format!("Basic {encoded}"));
    }
    let body: Vec<u8> = body.into();
    let answer = if body.is_empty() {
        agent(login).run(request.body(()).expect("a request"))
    } else {
        agent(login).run(request.body(body).expect("a request"))
    };
    match answer {
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
    let mut request = agent(None).post(url);
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

fn agent(login: Option<&Login>) -> ureq::Agent {
    let roots = login.map(|login| {
        let pem = fs::read(&login.ca_file).expect("the file of the authority");
        let certificate = Certificate::from_pem(&pem).expect("a certificate");
        RootCerts::new_with_certs(&[certificate])
    });
    let tls = TlsConfig::builder().root_certs(roots.unwrap_or(RootCerts::WebPki));
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_mins(1)))
        .tls_config(tls.build())
        .build()
        .into()
}
