//! The way to one host: the official client's transport, and what is made of its answers and failures.

use std::{
    error::Error as _,
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use elasticsearch::{
    auth::{ClientCertificate, Credentials},
    cert::{Certificate, CertificateValidation},
    http::{
        Method,
        headers::{HeaderMap, RETRY_AFTER},
        transport::{SingleNodeConnectionPool, TransportBuilder},
    },
};
use sdk::{
    clock::Clock,
    config::Secret,
    output::{Failure, FailureKind},
};
use url::Url;

use crate::{address::Address, config::Config, judge::retry_after, ssl::plain_key};

/// Longest answer that is read, in bytes: a million items, each with an error of 64 bytes.
const ANSWER_LEN_MAX: u64 = 64 << 20;
/// How long a server is left alone that does not let us in: asking more often could lock the account.
const AUTH_PAUSE: Duration = Duration::from_mins(1);

/// How transports are made.
#[derive(Debug)]
pub(crate) struct Opener {
    ca: Option<PathBuf>,
    /// Certificate and key to show.
    client: Option<(PathBuf, PathBuf)>,
    client_key_pass: Option<Secret>,
    verify: bool,
    pub(crate) timeout: Duration,
    clock: Clock,
}

/// The way to one host.
#[derive(Debug)]
pub(crate) struct Transport {
    client: elasticsearch::http::transport::Transport,
    host: Url,
    timeout: Duration,
    clock: Clock,
}

/// A request to a host.
#[derive(Debug, Clone)]
pub(crate) struct Request<'a> {
    pub(crate) method: Method,
    /// Path and query below the path of the host.
    pub(crate) path: &'a str,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

/// What a host answered.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// Where the answer comes from, when that is not where the request was sent.
    pub(crate) elsewhere: Option<String>,
    pub(crate) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) failure: Failure,
    /// Whether the host may have got the request, and carried it out.
    pub(crate) is_sent: bool,
}

impl From<Failure> for Broken {
    /// Of what happens before anything is sent.
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            is_sent: false,
        }
    }
}

impl Opener {
    /// Reads no files.
    pub(crate) fn new(config: &Config, clock: Clock) -> Self {
        Self {
            ca: config.ca_file.clone(),
            client: config
                .ssl
                .client_cert
                .clone()
                .zip(config.ssl.client_key.clone()),
            client_key_pass: config.ssl.client_key_pass.clone(),
            verify: config.ssl_verify,
            timeout: config.request_timeout.0,
            clock,
        }
    }

    /// Makes the transport to one host. Reads the files, so that one that appears later is found.
    ///
    /// # Errors
    /// A file that cannot be read or is not what it should be.
    pub(crate) async fn open(&self, address: &Address) -> Result<Transport, Failure> {
        let pool = SingleNodeConnectionPool::new(address.url.clone());
        let mut builder = TransportBuilder::new(pool).enable_meta_header(false);
        let tls = |message: String| Failure::new(FailureKind::Tls, message);
        if !self.verify {
            builder = builder.cert_validation(CertificateValidation::None);
        } else if let Some(path) = &self.ca {
            let pem = read("ca_file", path).await?;
            let authorities = Certificate::from_pem(&pem).map_err(|error| {
                tls(format!(
                    "ca_file {}: {}",
                    path.display(),
                    root_cause(&error)
                ))
            })?;
            builder = builder.cert_validation(CertificateValidation::Full(authorities));
        }
        if let Some((cert, key)) = &self.client {
            let pem = read("client_key", key).await?;
            let plain = plain_key(pem, self.client_key_pass.as_ref());
            let mut pem =
                plain.map_err(|why| tls(format!("client_key {} {why}", key.display())))?;
            pem.push(b'\n');
            pem.extend(read("client_cert", cert).await?);
            builder = builder.auth(Credentials::Certificate(ClientCertificate::Pem(pem)));
        }
        let client = builder.build();
        Ok(Transport {
            client: client
                .map_err(|error| tls(format!("the certificates cannot be used: {error}")))?,
            host: address.url.clone(),
            timeout: self.timeout,
            clock: self.clock.clone(),
        })
    }
}

impl Transport {
    /// Where a request to this path goes.
    ///
    /// # Errors
    /// It is no path.
    pub(crate) fn url(&self, path: &str) -> Result<Url, Failure> {
        let mut host = self.host.clone();
        if !host.path().ends_with('/') {
            host.set_path(&format!("{}/", host.path()));
        }
        host.join(path.trim_start_matches('/'))
            .map_err(|error| Failure::new(FailureKind::Http4xx, format!("{path}: {error}")))
    }

    /// Sends a request, and reads the answer.
    ///
    /// # Errors
    /// No answer in time, no connection, or an answer that is too long.
    pub(crate) async fn exchange(&self, request: Request<'_>) -> Result<Reply, Broken> {
        let broken = |error: &elasticsearch::Error| broken(error, self.timeout);
        let query: Option<&()> = None;
        let Request {
            method,
            path,
            headers,
            body,
        } = request;
        let timeout = Some(self.timeout);
        let response = self
            .client
            .send(method, path, headers, query, body, timeout)
            .await
            .map_err(|error| broken(&error))?;
        let status = response.status_code().as_u16();
        let wait = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let mut retry_after = wait.and_then(|value| retry_after(value, self.clock.now().secs));
        if matches!(status, 401 | 403) {
            retry_after = retry_after.max(Some(AUTH_PAUSE));
        }
        if response
            .content_length()
            .is_some_and(|len| len > ANSWER_LEN_MAX)
        {
            let message = "the answer is longer than 64 MiB";
            return Err(Broken {
                failure: Failure::new(FailureKind::Protocol, message),
                is_sent: true,
            });
        }
        let elsewhere = elsewhere(&self.host, path, response.url());
        let bytes = response.bytes().await;
        let body = bytes.map_err(|error| Broken {
            is_sent: true,
            ..broken(&error)
        })?;
        Ok(Reply {
            status,
            retry_after,
            elsewhere,
            body,
        })
    }
}

async fn read(parameter: &str, path: &Path) -> Result<Vec<u8>, Failure> {
    tokio::fs::read(path).await.map_err(|error| {
        let message = format!("{parameter} {} cannot be read: {error}", path.display());
        Failure::new(FailureKind::Tls, message)
    })
}

/// Where an answer comes from, when the client was led elsewhere. Only what may be shown of it.
fn elsewhere(host: &Url, asked: &str, answered: &Url) -> Option<String> {
    let asked = asked.split('?').next().unwrap_or_default();
    let [base, asked] = [host.path(), asked].map(|path| path.trim_matches('/'));
    let path = [base, asked].map(|part| {
        if part.is_empty() {
            String::new()
        } else {
            format!("/{part}")
        }
    });
    let path = path.concat();
    let is_same =
        host.origin() == answered.origin() && answered.path().trim_end_matches('/') == path;
    let origin = answered.origin().ascii_serialization();
    (!is_same).then(|| format!("{origin}{}", answered.path()))
}

fn broken(error: &elasticsearch::Error, timeout: Duration) -> Broken {
    let has_connection = !causes(error).any(|cause| cause.to_string() == NO_CONNECTION);
    let kind_and_message = if error.is_timeout() {
        let message = format!("no answer within {} s", timeout.as_secs_f64());
        (FailureKind::Timeout, message)
    } else {
        let cause = root_cause(error);
        (kind_of(&cause), cause)
    };
    Broken {
        failure: Failure::new(kind_and_message.0, kind_and_message.1),
        is_sent: has_connection,
    }
}

/// What the client says when it did not come to sending.
const NO_CONNECTION: &str = "client error (Connect)";

fn kind_of(cause: &str) -> FailureKind {
    let lower = cause.to_ascii_lowercase();
    let has_any = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    if has_any(&["certificate", "tls", "handshake", "corrupt message"]) {
        FailureKind::Tls
    } else if lower.contains("redirect") {
        FailureKind::Http4xx
    } else {
        FailureKind::Connect
    }
}

/// The innermost cause. What stands around it repeats the address, with everything in it.
fn root_cause(error: &elasticsearch::Error) -> String {
    let innermost = causes(error).last();
    innermost.map_or_else(|| error.to_string(), ToString::to_string)
}

/// What is behind an error, the innermost last.
fn causes(
    error: &elasticsearch::Error,
) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}
