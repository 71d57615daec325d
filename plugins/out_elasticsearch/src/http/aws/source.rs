//! Where keys come from: parameters, the environment, a profile, a container, the instance, or a role that is taken on.

use std::path::PathBuf;

use sdk::config::Secret;
use url::Url;

use super::{Endpoint, Keys, profile::Profile, sts::Sts};

/// Where a container on ECS asks.
const CONTAINER: &str = "http://169.254.170.2";
/// Where an instance of EC2 asks.
const INSTANCE: &str = "http://169.254.169.254";

/// Where keys come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// These keys, for good.
    Given(Keys),
    /// From a role that is taken on with the token in a file.
    WebIdentity(Sts, PathBuf),
    /// From a role that is taken on with other keys.
    Role(Sts, Box<Source>),
    /// From a profile in a file, and where that is not there, from elsewhere.
    Profile(Profile, Box<Source>),
    /// From what the container is told at this address.
    Container(String, Option<Token>),
    /// From what the instance is told at this address.
    Instance(String),
}

/// What a container shows to get keys.
#[derive(Debug)]
pub(crate) enum Token {
    Given(Secret),
    /// It is read each time.
    File(PathBuf),
}

/// The source that an endpoint means, in the order in which tools for AWS look. `env` knows the environment.
pub(crate) fn choose(endpoint: &Endpoint, env: &dyn Fn(&str) -> Option<String>) -> Source {
    let env = |name: &str| env(name).filter(|value| !value.is_empty());
    if let Some(id) = endpoint.access_key_id.as_ref().filter(|id| !id.is_empty()) {
        let secret = endpoint.secret_access_key.clone();
        return Source::Given(Keys {
            id: id.clone(),
            secret: secret.unwrap_or_else(|| Secret::new("")),
            token: endpoint.session_token.clone(),
            until: None,
        });
    }
    let Some(arn) = &endpoint.assume_role_arn else {
        return around(endpoint, &env);
    };
    let sts = Sts::new(endpoint, arn.clone());
    match &endpoint.assume_role_web_identity_token_file {
        Some(file) => Source::WebIdentity(sts, file.clone()),
        None => Source::Role(sts, Box::new(around(endpoint, &env))),
    }
}

/// What there is without a role of the parameters.
fn around(endpoint: &Endpoint, env: &dyn Fn(&str) -> Option<String>) -> Source {
    if let Some(path) = &endpoint.ecs_container_credentials_relative_uri {
        return Source::Container(format!("{CONTAINER}{path}"), None);
    }
    if let Some((id, secret)) = env("AWS_ACCESS_KEY_ID").zip(env("AWS_SECRET_ACCESS_KEY")) {
        return Source::Given(Keys {
            id,
            secret: Secret::new(secret),
            token: env("AWS_SESSION_TOKEN").map(Secret::new),
            until: None,
        });
    }
    if let Some((file, arn)) = env("AWS_WEB_IDENTITY_TOKEN_FILE").zip(env("AWS_ROLE_ARN")) {
        return Source::WebIdentity(Sts::new(endpoint, arn), file.into());
    }
    match Profile::of(env) {
        Some(profile) => Source::Profile(profile, Box::new(of_machine(env))),
        None => of_machine(env),
    }
}

/// What the container or the instance is told.
fn of_machine(env: &dyn Fn(&str) -> Option<String>) -> Source {
    let relative = env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let relative = relative.map(|path| format!("{CONTAINER}{path}"));
    if let Some(url) = relative.or_else(|| env("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
        let file = env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
        let file = file.map(|path| Token::File(path.into()));
        let given = || {
            Some(Token::Given(Secret::new(env(
                "AWS_CONTAINER_AUTHORIZATION_TOKEN",
            )?)))
        };
        return Source::Container(url, file.or_else(given));
    }
    let url = env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    Source::Instance(url.unwrap_or_else(|| INSTANCE.to_owned()))
}

/// An address without what may be secret in it.
pub(crate) fn shown(address: &str) -> String {
    let url = Url::parse(address).ok();
    url.map_or_else(
        || "its address".into(),
        |url| url.origin().ascii_serialization(),
    )
}
