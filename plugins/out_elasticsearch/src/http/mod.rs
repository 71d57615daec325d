//! Requests: what all of them have in common, and who they say that we are.

pub(crate) mod aws;
pub(crate) mod credentials;
pub(crate) mod proof;
pub(crate) mod transport;
pub(crate) mod uri;

use std::borrow::Cow;

use bytes::Bytes;
use reqwest::{
    Method,
    header::{
        ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap,
        HeaderName, HeaderValue,
    },
};
use sdk::{
    clock::Clock,
    config::{ConfigError, ConfigErrors},
    output::Failure,
};

use crate::{bulk::answer::FILTER_PATH, config::Config, hosts::address::Address};
use credentials::basic;
use proof::Proof;
use transport::{Broken, Request, Transport, url_at};

pub(crate) use transport::Reply;

/// The path of bulk requests below that of a host.
const BULK: &str = "_bulk";
/// What all requests have in common.
#[derive(Debug)]
pub(crate) struct Connector {
    path: String,
    headers: HeaderMap,
    proof: Proof,
    transport: Transport,
}

/// What a host is asked besides bulk requests.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a str,
    /// JSON, for a question that has some.
    pub(crate) body: Option<String>,
}

/// How a body is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Encoding<'a> {
    pub(crate) is_gzip: bool,
    pub(crate) content_type: &'static str,
    /// The index, where it stands in the address.
    pub(crate) index: Option<&'a str>,
}

impl Connector {
    /// Prepares connections; reads no files.
    ///
    /// # Errors
    /// Headers and credentials that cannot be sent.
    pub(crate) fn new(config: &Config, clock: Clock) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let headers = headers(config, &mut errors);
        let proof = Proof::of(config, clock.clone(), &mut errors);
        let transport = match Transport::new(config, clock) {
            Ok(transport) if errors.is_empty() => transport,
            Ok(_) => return Err(errors),
            Err(more) => return Err(errors.into_iter().chain(more).collect()),
        };
        let mut path = format!("{BULK}?{FILTER_PATH}");
        // One with placeholders stands in action lines.
        let pipeline = config.pipeline.as_ref();
        if let Some(pipeline) = pipeline.filter(|text| !text.contains("${")) {
            path.push_str("&pipeline=");
            path.extend(uri::part(pipeline));
        }
        if config.rolls_over() {
            // Before there is the alias, an index of its name would come into being.
            path.push_str("&require_alias=true");
        }
        Ok(Self {
            path,
            headers,
            proof,
            transport,
        })
    }

    /// Sends one request and reads the answer.
    ///
    /// # Errors
    /// No answer in time, no connection, or an answer that is too long.
    pub(crate) async fn post(
        &self,
        address: &Address,
        body: Bytes,
        encoding: Encoding<'_>,
    ) -> Result<Reply, Broken> {
        let mut headers = self.headers.clone();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static(encoding.content_type),
        );
        if encoding.is_gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let path = match encoding.index {
            Some(index) => Cow::from(format!("{}/{}", uri::part(index), self.path)),
            None => Cow::from(&self.path),
        };
        let request = Request {
            method: Method::POST,
            url: url_at(&address.url, &path)?,
            headers,
            body: Some(body),
        };
        self.send(address, request).await
    }

    /// Asks something, and reads the answer.
    ///
    /// # Errors
    /// As those of [`Connector::post`].
    pub(crate) async fn ask(
        &self,
        address: &Address,
        question: &Question<'_>,
    ) -> Result<Reply, Failure> {
        let mut headers = self.headers.clone();
        let body = question.body.clone().map(Bytes::from);
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let request = Request {
            method: question.method.clone(),
            url: url_at(&address.url, question.path)?,
            headers,
            body,
        };
        let sent = self.send(address, request).await;
        sent.map_err(|broken| broken.failure)
    }

    /// Sends one request, and once more when it was refused and there is something else to show now.
    async fn send(&self, address: &Address, mut request: Request) -> Result<Reply, Broken> {
        if let Some((user, password)) = &address.login {
            request.headers.insert(AUTHORIZATION, basic(user, password));
            return self.transport.exchange(request).await;
        }
        let shown = self.proof.add(&mut request).await?;
        let reply = self.transport.exchange(request.clone()).await?;
        if !matches!(reply.status, 401 | 403) || !self.proof.renew(&shown).await {
            return Ok(reply);
        }
        tracing::info!(host = %address.url, "the credentials were refused; there are others now");
        self.proof.add(&mut request).await?;
        self.transport.exchange(request).await
    }
}

fn headers(config: &Config, errors: &mut ConfigErrors) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
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
    headers
}
