//! Small requests for keys, to services that answer at once or not at all.

use std::time::Duration;

use http_client::{Broken, Options, Proxy, Unread, read};
use reqwest::{Client, RequestBuilder};
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
pub(crate) async fn client() -> Result<Client, Failure> {
    make(Proxy::OfEnvironment).await
}

/// The same for a service of this machine, which no proxy is in front of.
///
/// # Errors
/// The system gives none.
pub(crate) async fn local() -> Result<Client, Failure> {
    make(Proxy::None).await
}

async fn make(proxy: Proxy) -> Result<Client, Failure> {
    let options = Options {
        connect_timeout: CONNECT_TIMEOUT,
        idle_timeout: None,
        proxy,
    };
    let client = http_client::Client::new(options, Some(tls::Client::standard()));
    client.get().await
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
    let unanswered =
        |broken: Broken| failed(format!("does not answer: {}", broken.failure.message));
    let sent = request.timeout(TIMEOUT).send().await;
    let response = sent.map_err(|error| unanswered(Broken::new(error, TIMEOUT)))?;
    let status = response.status().as_u16();
    let body = read(response, ANSWER_LEN_MAX, TIMEOUT).await;
    let body = body.map_err(|unread| match unread {
        Unread::Broken(broken) => unanswered(broken),
        Unread::TooLong => failed("gives an answer of more than 64 KiB".into()),
    })?;
    let text = String::from_utf8(body.into());
    let text = text.map_err(|_| failed("gives an answer that is no text".into()))?;
    Ok(Answer { status, text })
}
