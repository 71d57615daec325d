//! Requests that are signed for AWS: Amazon OpenSearch Service and its serverless collections.

mod endpoint;
mod fetch;
pub(crate) mod keyring;
mod profile;
pub(crate) mod sign;
pub(crate) mod source;
pub(crate) mod sts;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc};

use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use sdk::{
    clock::Clock,
    config::Secret,
    event::Time,
    output::{Failure, FailureKind},
};

pub use endpoint::{Endpoint, Service};
use keyring::Keyring;
use sign::{Scope, digest, sign};
use url::Url;

use crate::http::transport::Request;

/// What a request is signed with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) id: String,
    pub(crate) secret: Secret,
    /// Keys that are lent have one.
    pub(crate) token: Option<Secret>,
    /// When they end, in seconds since 1970.
    pub(crate) until: Option<i64>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.id)
    }
}

/// Signs requests.
#[derive(Debug)]
pub(crate) struct Signer {
    region: String,
    service: Service,
    keyring: Keyring,
    clock: Clock,
}

impl Signer {
    /// For an endpoint that was checked.
    pub(crate) fn new(endpoint: &Endpoint, clock: Clock) -> Self {
        Self {
            region: endpoint.region.clone(),
            service: endpoint.aws_service_name,
            keyring: Keyring::new(
                source::choose(endpoint, &|name| std::env::var(name).ok()),
                endpoint.refresh_credentials_interval.0,
            ),
            clock,
        }
    }

    /// Adds to a request what proves who sends it. Returns the keys.
    ///
    /// # Errors
    /// There are no keys.
    pub(crate) async fn sign(&self, to_sign: &mut Request) -> Result<Arc<Keys>, Failure> {
        let now = self.clock.now();
        let keys = self.keyring.keys(now).await?;
        let Request { url, body, .. } = &*to_sign;
        let host = host_of(url);
        let (date, digest) = (sign::date(now), digest(body.clone()).await);
        let mut signed = vec![
            ("host", host.as_str()),
            ("x-amz-content-sha256", &digest),
            ("x-amz-date", &date),
        ];
        if let Some(token) = &keys.token {
            signed.push(("x-amz-security-token", token.expose()));
        }
        let scope = Scope {
            region: &self.region,
            service: self.service.as_str(),
        };
        let request = sign::Request {
            method: to_sign.method.as_str(),
            path: url.path(),
            query: url.query().unwrap_or_default(),
            headers: &signed,
            digest: &digest,
        };
        let authorization = sign(&keys, scope, &date, &request);
        // The transport writes the host.
        let added = signed.iter().skip(1).copied();
        for (name, value) in added.chain([(AUTHORIZATION.as_str(), &*authorization)]) {
            insert(&mut to_sign.headers, name, value)?;
        }
        Ok(keys)
    }

    /// Whether there are other keys than those that were refused.
    pub(crate) async fn renew(&self, refused: &Arc<Keys>) -> bool {
        self.keyring.renew(self.clock.now(), refused).await
    }
}

/// The header `Host`, as the transport writes it.
fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn insert(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Failure> {
    let pair = name.parse::<HeaderName>().ok();
    let Some((name, mut value)) = pair.zip(HeaderValue::from_str(value).ok()) else {
        let message = "the keys for AWS have a character that a header cannot have";
        return Err(Failure::new(FailureKind::Auth, message));
    };
    value.set_sensitive(true);
    headers.insert(name, value);
    Ok(())
}

/// Seconds since 1970 of a time as AWS writes it.
fn secs_of(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_second())
}

/// Seconds from `now` until the end of the keys.
fn secs_left(keys: &Keys, now: Time) -> i64 {
    keys.until.map_or(i64::MAX, |until| until - now.secs)
}
