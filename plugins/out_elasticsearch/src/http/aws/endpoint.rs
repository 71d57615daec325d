//! The table `endpoint`: where AWS is, and who we are there.

use std::path::PathBuf;

use schemars::JsonSchema;
use sdk::config::{ConfigError, ConfigErrors, Interval, Secret};
use serde::Deserialize;
use url::Url;

/// Amazon OpenSearch Service, with requests that are signed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// The address of the domain or the collection, in the place of `hosts`.
    pub url: String,
    /// The region of the domain or the collection.
    #[schemars(length(min = 1))]
    pub region: String,
    /// `es` for a domain, `aoss` for a serverless collection.
    #[serde(default)]
    pub aws_service_name: Service,
    /// The id of an access key, with `secret_access_key`. Without it, keys come from `assume_role_arn`, from the
    /// environment (`AWS_ACCESS_KEY_ID`, a web identity, a profile, a container) or from the instance, as with other tools
    /// for AWS.
    pub access_key_id: Option<String>,
    /// The secret of `access_key_id`.
    pub secret_access_key: Option<Secret>,
    /// The token of an access key that is lent.
    pub session_token: Option<Secret>,
    /// A role to take on: with the token in `assume_role_web_identity_token_file`, or with the keys of the environment or
    /// the instance.
    pub assume_role_arn: Option<String>,
    /// How the session of the role is called.
    #[serde(default = "default_session")]
    pub assume_role_session_name: String,
    /// A file with the token that the role is taken on with. It is read each time.
    pub assume_role_web_identity_token_file: Option<PathBuf>,
    /// Where a container on ECS asks for keys. Default: what `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` says.
    pub ecs_container_credentials_relative_uri: Option<String>,
    /// The region to take on the role in. Default: `region`.
    pub sts_credentials_region: Option<String>,
    /// The address to take on the role at, such as that of an endpoint in your network.
    pub sts_endpoint: Option<String>,
    /// Keys that are lent are asked for again after so long, and some minutes before they end.
    #[serde(default = "default_refresh")]
    pub refresh_credentials_interval: Interval,
}

/// What requests are signed for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// A domain.
    #[default]
    Es,
    /// A serverless collection.
    Aoss,
}

impl Service {
    /// Its name in a signature.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Es => "es",
            Self::Aoss => "aoss",
        }
    }
}

fn default_session() -> String {
    "weir".into()
}

fn default_refresh() -> Interval {
    Interval::secs(5 * 60 * 60)
}

impl Endpoint {
    /// Complains of what does not go together.
    pub(crate) fn check(&self, errors: &mut ConfigErrors) {
        self.check_keys(errors);
        self.check_role(errors);
        if let Some(address) = &self.sts_endpoint
            && !is_http(address)
        {
            let help = "write it as in \"https://sts.eu-central-1.amazonaws.com\"";
            errors.push(at("sts_endpoint", "this is no address").help(help));
        }
        let regions = [
            ("region", Some(&self.region)),
            (
                "sts_credentials_region",
                self.sts_credentials_region.as_ref(),
            ),
        ];
        let is_right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        for (name, region) in regions {
            if region.is_some_and(|region| !region.chars().all(is_right)) {
                let help = "write it as in \"eu-central-1\"";
                errors.push(at(name, "this is no region").help(help));
            }
        }
    }

    fn has_id(&self) -> bool {
        let id = self.access_key_id.as_ref();
        id.is_some_and(|id| !id.is_empty())
    }

    fn check_keys(&self, errors: &mut ConfigErrors) {
        let has_id = self.has_id();
        let secret = self.secret_access_key.as_ref();
        if has_id != secret.is_some_and(|key| !key.expose().is_empty()) {
            let name = if has_id {
                "access_key_id"
            } else {
                "secret_access_key"
            };
            let message = "`access_key_id` and `secret_access_key` belong together";
            let help = "give both, or none to take the keys of the environment";
            errors.push(at(name, message).help(help));
        }
        if self.session_token.is_some() && !has_id {
            let message = "the token belongs to an access key, and there is none";
            let help = "add `access_key_id` and `secret_access_key`";
            errors.push(at("session_token", message).help(help));
        }
        let uri = self.ecs_container_credentials_relative_uri.as_ref();
        if uri.is_some_and(|uri| !uri.starts_with('/')) {
            let help = "write it as in AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, with `/` in front";
            let name = "ecs_container_credentials_relative_uri";
            errors.push(at(name, "this is no path").help(help));
        }
    }

    fn check_role(&self, errors: &mut ConfigErrors) {
        if self.has_id() && self.assume_role_arn.is_some() {
            let message = "with an access key, no role is taken on";
            let help = "remove `assume_role_arn`, or give the key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            errors.push(at("assume_role_arn", message).help(help));
        }
        if self.assume_role_web_identity_token_file.is_some() && self.assume_role_arn.is_none() {
            let message = "the token is for taking on a role, and none is named";
            let name = "assume_role_web_identity_token_file";
            errors.push(at(name, message).help("add `assume_role_arn`"));
        }
    }
}

fn at(name: &str, message: &str) -> ConfigError {
    ConfigError::at(format!("/endpoint/{name}"), message)
}

fn is_http(address: &str) -> bool {
    let url = Url::parse(address).ok();
    url.is_some_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
}
