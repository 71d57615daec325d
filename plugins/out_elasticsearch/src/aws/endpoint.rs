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
    /// environment (`AWS_ACCESS_KEY_ID`, a web identity, a container) or from the instance, as with other tools for AWS.
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
        let mut complain = |name: &str, message: &str, help: &str| {
            errors.push(ConfigError::at(format!("/endpoint/{name}"), message).help(help));
        };
        let is_given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let has_id = is_given(&self.access_key_id);
        let has_secret =
            (self.secret_access_key.as_ref()).is_some_and(|key| !key.expose().is_empty());
        if has_id != has_secret {
            let name = if has_id {
                "access_key_id"
            } else {
                "secret_access_key"
            };
            let message = "`access_key_id` and `secret_access_key` belong together";
            complain(
                name,
                message,
                "give both, or none to take the keys of the environment",
            );
        }
        if self.session_token.is_some() && !has_id {
            let message = "the token belongs to an access key, and there is none";
            complain(
                "session_token",
                message,
                "add `access_key_id` and `secret_access_key`",
            );
        }
        if has_id && self.assume_role_arn.is_some() {
            let message = "with an access key, no role is taken on";
            let help = "remove `assume_role_arn`, or give the key in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY";
            complain("assume_role_arn", message, help);
        }
        if self.assume_role_web_identity_token_file.is_some() && self.assume_role_arn.is_none() {
            let message = "the token is for taking on a role, and none is named";
            complain(
                "assume_role_web_identity_token_file",
                message,
                "add `assume_role_arn`",
            );
        }
        if (self.ecs_container_credentials_relative_uri.as_deref())
            .is_some_and(|uri| !uri.starts_with('/'))
        {
            let message = "this is no path";
            let help = "write it as in AWS_CONTAINER_CREDENTIALS_RELATIVE_URI, with `/` in front";
            complain("ecs_container_credentials_relative_uri", message, help);
        }
        if let Some(address) = &self.sts_endpoint
            && !is_http(address)
        {
            let help = "write it as in \"https://sts.eu-central-1.amazonaws.com\"";
            complain("sts_endpoint", "this is no address", help);
        }
        for (name, region) in [
            ("region", Some(&self.region)),
            (
                "sts_credentials_region",
                self.sts_credentials_region.as_ref(),
            ),
        ] {
            let is_right = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if region.is_some_and(|region| !region.chars().all(is_right)) {
                complain(name, "this is no region", "write it as in \"eu-central-1\"");
            }
        }
    }
}

fn is_http(address: &str) -> bool {
    let url = Url::parse(address).ok();
    url.is_some_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
}
