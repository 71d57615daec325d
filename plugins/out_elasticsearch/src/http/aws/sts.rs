//! Taking on a role: a request to the Security Token Service, and the keys in its answer.

use sdk::{
    config::Secret,
    event::Time,
    output::{Failure, FailureKind},
};
use url::{Url, form_urlencoded::Serializer};

use super::{
    Endpoint, Keys,
    fetch::{self, Answer},
    host_of, secs_of,
    sign::{self, Scope, digest, sign},
};

/// Longest part of a message of the service that is shown, in characters.
const MESSAGE_LEN_MAX: usize = 300;

/// A role, and where it is taken on.
#[derive(Debug)]
pub(crate) struct Sts {
    address: String,
    region: String,
    role_arn: String,
    session: String,
}

impl Sts {
    pub(crate) fn new(endpoint: &Endpoint, role_arn: String) -> Self {
        let region = endpoint.sts_credentials_region.as_ref();
        let region = region.unwrap_or(&endpoint.region).clone();
        // The regions of China have names of their own.
        let end = if region.starts_with("cn-") { ".cn" } else { "" };
        let address = endpoint.sts_endpoint.clone();
        Self {
            address: address.unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com{end}/")),
            region,
            role_arn,
            session: endpoint.assume_role_session_name.clone(),
        }
    }

    /// Takes on the role with a token.
    ///
    /// # Errors
    /// No answer, or one without keys.
    pub(crate) async fn with_token(&self, token: &str) -> Result<Keys, Failure> {
        let form = self.form("AssumeRoleWithWebIdentity", Some(token));
        let request = fetch::client().await?.post(&self.address).body(form);
        self.keys(fetch::send(&self.address, request.header("content-type", FORM)).await?)
    }

    /// Takes on the role with other keys.
    ///
    /// # Errors
    /// No answer, or one without keys.
    pub(crate) async fn with_keys(&self, keys: &Keys, now: Time) -> Result<Keys, Failure> {
        let form = self.form("AssumeRole", None);
        let url = Url::parse(&self.address)
            .map_err(|error| Failure::new(FailureKind::Auth, format!("STS: {error}")))?;
        let (host, date) = (host_of(&url), sign::date(now));
        let digest = digest(Some(form.clone().into())).await;
        let mut signed = vec![
            ("content-type", FORM),
            ("host", &host),
            ("x-amz-date", &date),
        ];
        if let Some(token) = &keys.token {
            signed.push(("x-amz-security-token", token.expose()));
        }
        let scope = Scope {
            region: &self.region,
            service: "sts",
        };
        let request = sign::Request {
            method: "POST",
            path: url.path(),
            query: url.query().unwrap_or_default(),
            headers: &signed,
            digest: &digest,
        };
        let authorization = sign(keys, scope, &date, &request);
        let mut request = fetch::client().await?.post(url.clone()).body(form);
        for (name, value) in signed.iter().filter(|(name, _)| *name != "host") {
            request = request.header(*name, *value);
        }
        let request = request.header("authorization", authorization);
        self.keys(fetch::send(&self.address, request).await?)
    }

    fn form(&self, action: &str, token: Option<&str>) -> String {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", action)
            .append_pair("Version", "2011-06-15")
            .append_pair("RoleArn", &self.role_arn)
            .append_pair("RoleSessionName", &self.session);
        if let Some(token) = token {
            form.append_pair("WebIdentityToken", token);
        }
        form.finish()
    }

    /// The keys in an answer.
    fn keys(&self, answer: Answer) -> Result<Keys, Failure> {
        let Answer { status, text } = answer;
        let part = |name| element(&text, name);
        let keys = part("AccessKeyId").zip(part("SecretAccessKey"));
        if let (200, Some((id, secret))) = (status, keys) {
            return Ok(Keys {
                id: id.to_owned(),
                secret: Secret::new(secret),
                token: part("SessionToken").map(Secret::new),
                until: part("Expiration").and_then(secs_of),
            });
        }
        let why = part("Code").unwrap_or("without keys");
        let message = part("Message").unwrap_or_default();
        let message: String = message.chars().take(MESSAGE_LEN_MAX).collect();
        let role = &self.role_arn;
        let message = format!("taking on the role {role}: STS answered {status}, {why} {message}");
        Err(Failure::new(FailureKind::Auth, message.trim_end()))
    }
}

/// The content type of the requests.
const FORM: &str = "application/x-www-form-urlencoded";

/// The text of the first element of this name. What is asked for has no entities in it.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(text.trim())
}
