//! The way to a host: requests, and what comes back.

use std::time::Duration;

use bytes::Bytes;
use http_client::{Client, Options, Proxy, Unread};
use reqwest::{
    Method, StatusCode,
    header::{HeaderMap, LOCATION, RETRY_AFTER},
};
use sdk::{
    clock::Clock,
    config::ConfigErrors,
    output::{Failure, FailureKind},
};
use url::Url;

use crate::{bulk::judge::retry_after, config::Config};

pub(crate) use http_client::Broken;

/// How long a host may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence after which a connection is closed, before servers, and what balances load in front of them, do it.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest answer that is read, in bytes: a million items, each with an error of 64 bytes.
const ANSWER_LEN_MAX: usize = 64 << 20;
/// How long a server is left alone that does not let us in: asking more often could lock the account.
const AUTH_PAUSE: Duration = Duration::from_mins(1);

/// The way to all hosts.
#[derive(Debug)]
pub(crate) struct Transport {
    client: Client,
    timeout: Duration,
    clock: Clock,
}

/// A request to a host.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

/// What a host answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// Where it leads, as far as that may be shown.
    pub(crate) elsewhere: Option<String>,
    pub(crate) body: Bytes,
}

impl Transport {
    /// Reads no files.
    ///
    /// # Errors
    /// Parameters of TLS that do not go together.
    pub(crate) fn new(config: &Config, clock: Clock) -> Result<Self, ConfigErrors> {
        let tls = config
            .ssl
            .client(config.ca_file.as_ref(), config.ssl_verify)?;
        let options = Options {
            connect_timeout: CONNECT_TIMEOUT,
            idle_timeout: Some(IDLE_TIMEOUT),
            proxy: Proxy::OfEnvironment,
        };
        Ok(Self {
            client: Client::new(options, Some(tls)),
            timeout: config.request_timeout.0,
            clock,
        })
    }

    /// Sends a request, and reads the answer. The files of TLS are looked at each time, so that one that appears later is
    /// found.
    ///
    /// # Errors
    /// No answer in time, no connection, or an answer that is too long.
    pub(crate) async fn exchange(&self, request: Request) -> Result<Reply, Broken> {
        let client = self.client.get().await?;
        let url = request.url.clone();
        let mut sending = client
            .request(request.method, request.url)
            .headers(request.headers)
            .timeout(self.timeout);
        if let Some(body) = request.body {
            sending = sending.body(body);
        }
        let sent = sending.send().await;
        let response = sent.map_err(|error| Broken::new(error, self.timeout))?;
        let (status, headers) = (response.status(), response.headers());
        let retry_after = self.retry_after(status, headers);
        let elsewhere = elsewhere(&url, status, headers);
        let body = http_client::read(response, ANSWER_LEN_MAX, self.timeout).await;
        let body = body.map_err(|unread| match unread {
            Unread::Broken(broken) => broken,
            Unread::TooLong => Broken {
                failure: Failure::new(FailureKind::Protocol, "the answer is longer than 64 MiB"),
                is_sent: true,
            },
        })?;
        Ok(Reply {
            status: status.as_u16(),
            retry_after,
            elsewhere,
            body,
        })
    }

    fn retry_after(&self, status: StatusCode, headers: &HeaderMap) -> Option<Duration> {
        let text = headers.get(RETRY_AFTER).and_then(|text| text.to_str().ok());
        let asked = text.and_then(|text| retry_after(text, self.clock.now().secs));
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => asked.max(Some(AUTH_PAUSE)),
            _ => asked,
        }
    }
}

/// The address of a path at a host.
///
/// # Errors
/// It is no path.
pub(crate) fn url_at(host: &Url, path: &str) -> Result<Url, Failure> {
    let mut host = host.clone();
    if !host.path().ends_with('/') {
        host.set_path(&format!("{}/", host.path()));
    }
    host.join(path.trim_start_matches('/'))
        .map_err(|error| Failure::new(FailureKind::Http4xx, format!("{path}: {error}")))
}

/// Where an answer leads. Only what may be shown of it: a page to log in may have the reason in its address.
fn elsewhere(url: &Url, status: StatusCode, headers: &HeaderMap) -> Option<String> {
    let location = headers.get(LOCATION)?.to_str().ok();
    let target = url
        .join(location.filter(|_| status.is_redirection())?)
        .ok()?;
    let origin = target.origin().ascii_serialization();
    Some(format!("{origin}{}", target.path()))
}
