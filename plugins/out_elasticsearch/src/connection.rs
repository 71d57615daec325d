//! Connections: what all hosts have in common, and one request to one host through the official client's transport.

use std::{
    error::Error as _,
    path::{Path, PathBuf},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use elasticsearch::{
    auth::{ClientCertificate, Credentials},
    cert::{Certificate, CertificateValidation},
    http::{
        Method,
        headers::{
            ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName,
            HeaderValue, RETRY_AFTER, USER_AGENT,
        },
        transport::{SingleNodeConnectionPool, Transport, TransportBuilder},
    },
};
use sdk::{
    clock::Clock,
    config::{ConfigError, ConfigErrors, Secret},
    output::{Failure, FailureKind},
};

use url::Url;

use crate::{address::Address, answer::FILTER_PATH, config::Config, judge::retry_after};

/// The path of bulk requests below that of a host.
const BULK: &str = "_bulk";
/// Longest answer that is read, in bytes: a million items, each with an error of 64 bytes.
const ANSWER_LEN_MAX: u64 = 64 << 20;

/// What all connections have in common.
#[derive(Debug)]
pub(crate) struct Connector {
    path: String,
    headers: HeaderMap,
    files: Files,
    verify: bool,
    pub(crate) timeout: Duration,
    clock: Clock,
}

#[derive(Debug)]
struct Files {
    ca: Option<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
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

/// What a host is asked besides bulk requests.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    /// JSON, for a question that has some.
    pub(crate) body: Option<String>,
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

/// How a body is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding {
    pub(crate) is_gzip: bool,
    pub(crate) content_type: &'static str,
}

impl Connector {
    /// Prepares connections; reads no files.
    ///
    /// # Errors
    /// Headers and credentials that cannot be sent.
    pub(crate) fn new(config: &Config, clock: Clock) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let headers = headers(config, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut path = format!("{BULK}?{FILTER_PATH}");
        if let Some(pipeline) = &config.pipeline {
            path.push_str("&pipeline=");
            path.extend(url::form_urlencoded::byte_serialize(pipeline.as_bytes()));
        }
        if config.rolls_over() {
            // Before there is the alias, an index of its name would come into being.
            path.push_str("&require_alias=true");
        }
        Ok(Self {
            path,
            headers,
            files: Files {
                ca: config.ca_file.clone(),
                client: config.client_cert.clone().zip(config.client_key.clone()),
            },
            verify: config.ssl_verify,
            timeout: config.request_timeout.0,
            clock,
        })
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
        } else if let Some(path) = &self.files.ca {
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
        if let Some((cert, key)) = &self.files.client {
            let mut pem = read("client_key", key).await?;
            pem.push(b'\n');
            pem.extend(read("client_cert", cert).await?);
            builder = builder.auth(Credentials::Certificate(ClientCertificate::Pem(pem)));
        }
        builder
            .build()
            .map_err(|error| tls(format!("the certificates cannot be used: {error}")))
    }

    /// Sends one request and reads the answer.
    ///
    /// # Errors
    /// No answer in time, no connection, or an answer that is too long.
    pub(crate) async fn post(
        &self,
        transport: &Transport,
        address: &Address,
        body: Bytes,
        encoding: Encoding,
    ) -> Result<Reply, Broken> {
        let mut headers = self.headers.clone();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(encoding.content_type),
        );
        if encoding.is_gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let request = (Method::Post, self.path.as_str());
        self.send(transport, address, request, headers, Some(body))
            .await
    }

    /// Asks something, and reads the answer.
    ///
    /// # Errors
    /// As those of [`Connector::post`].
    pub(crate) async fn ask(
        &self,
        transport: &Transport,
        address: &Address,
        question: &Question<'_>,
    ) -> Result<Reply, Failure> {
        let mut headers = self.headers.clone();
        let body = question.body.clone().map(Bytes::from);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request = (question.method, question.path);
        let sent = self.send(transport, address, request, headers, body).await;
        sent.map_err(|broken| broken.failure)
    }

    async fn send(
        &self,
        transport: &Transport,
        address: &Address,
        (method, path): (Method, &str),
        mut headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Reply, Broken> {
        if let Some((user, password)) = &address.login {
            headers.insert(AUTHORIZATION, basic(user, password));
        }
        let broken = |error: &elasticsearch::Error| broken(error, self.timeout);
        let query: Option<&()> = None;
        let response = transport
            .send(method, path, headers, query, body, Some(self.timeout))
            .await
            .map_err(|error| broken(&error))?;
        let status = response.status_code().as_u16();
        let wait = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let retry_after = wait.and_then(|value| retry_after(value, self.clock.now().secs));
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
        let elsewhere = elsewhere(&address.url, path, response.url());
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

fn headers(config: &Config, errors: &mut ConfigErrors) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(
        USER_AGENT,
        HeaderValue::from_static(concat!("weir/", env!("CARGO_PKG_VERSION"))),
    );
    // Answers are short, and packing them would be work for the server.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    for (name, value) in &config.custom_headers {
        let place = format!("/custom_headers/{name}");
        match (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
            (Err(_), _) => errors.push(ConfigError::at(
                place,
                format!("{name:?} is not the name of a header"),
            )),
            (_, Err(_)) => errors.push(ConfigError::at(
                place,
                "this cannot be the value of a header",
            )),
        }
    }
    if let Some(user) = &config.user {
        let empty = Secret::new("");
        headers.insert(
            AUTHORIZATION,
            basic(user, config.password.as_ref().unwrap_or(&empty)),
        );
    }
    if let Some(key) = &config.api_key {
        let key = key.expose().trim();
        let encoded = if key.contains(':') {
            STANDARD.encode(key)
        } else {
            key.to_owned()
        };
        match HeaderValue::from_str(&format!("ApiKey {encoded}")) {
            Ok(mut value) => {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
            Err(_) => errors.push(
                ConfigError::at("/api_key", "this is not an API key")
                    .help("write it as `id:key`, or as Elasticsearch prints it"),
            ),
        }
    }
    headers
}

fn basic(user: &str, password: &Secret) -> HeaderValue {
    let encoded = STANDARD.encode(format!("{user}:{}", password.expose()));
    // Base64 has no byte that a header cannot have.
    let mut value = HeaderValue::from_str(&format!("Basic {encoded}"))
        .unwrap_or(HeaderValue::from_static("Basic"));
    value.set_sensitive(true);
    value
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
