//! Small requests for keys, to services that answer at once or not at all.

use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder, redirect::Policy};
use sdk::output::{Failure, FailureKind};

use super::source::shown;

/// How long such a service may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// And to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest answer, in bytes.
const ANSWER_LEN_MAX: usize = 64 << 10;

/// What a service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
}

/// A client for a few requests.
///
/// # Errors
/// The system gives none.
pub(crate) fn client() -> Result<Client, Failure> {
    build(Client::builder())
}

/// The same for a service of this machine, which no proxy is in front of.
///
/// # Errors
/// The system gives none.
pub(crate) fn local() -> Result<Client, Failure> {
    build(Client::builder().no_proxy())
}

fn build(builder: ClientBuilder) -> Result<Client, Failure> {
    let builder = builder
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(TIMEOUT)
        .redirect(Policy::none());
    builder
        .build()
        .map_err(|error| Failure::new(FailureKind::Auth, format!("no client can be made: {error}")))
}

/// Sends a request to the service at this address.
///
/// # Errors
/// No answer, or one that is too long or no text.
pub(crate) async fn send(address: &str, request: RequestBuilder) -> Result<Answer, Failure> {
    let failed = |what: String| {
        let message = format!("{}, which is asked for keys, {what}", shown(address));
        Failure::new(FailureKind::Auth, message)
    };
    let unanswered = |error: reqwest::Error| {
        let error = error.without_url();
        failed(format!("does not answer: {error}"))
    };
    let mut response = request.send().await.map_err(unanswered)?;
    let status = response.status().as_u16();
    let mut bytes = Vec::new();
    while let Some(part) = response.chunk().await.map_err(unanswered)? {
        bytes.extend_from_slice(&part);
        if bytes.len() > ANSWER_LEN_MAX {
            return Err(failed("gives an answer of more than 64 KiB".into()));
        }
    }
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| failed("gives an answer that is no text".into()))?;
    Ok(Answer { status, text })
}
