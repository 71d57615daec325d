//! Elastic Cloud: the address that is in a cloud id.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sdk::config::{ConfigError, ConfigErrors, Secret};

use crate::{
    config::{Config, Scheme},
    hosts::address::Address,
};

/// The port of Elastic Cloud.
const PORT: u16 = 443;

impl Config {
    /// The address at Elastic Cloud, of an id that is given.
    pub(crate) fn of_cloud(&self, id: &str, errors: &mut ConfigErrors) -> Vec<Address> {
        if !self.hosts.0.is_empty() || self.host.is_some() {
            let message = "`cloud_id` names a host already";
            errors.push(ConfigError::at("/cloud_id", message).help("remove `hosts` and `host`"));
        }
        let login = self.cloud_auth.as_ref().and_then(login);
        if self.cloud_auth.is_some() && login.is_none() {
            let message = "this is no user with a password";
            errors.push(
                ConfigError::at("/cloud_auth", message).help("write it as in \"user:password\""),
            );
        }
        match address(id) {
            Ok(address) => vec![Address { login, ..address }],
            Err(message) => {
                errors.push(
                    ConfigError::at("/cloud_id", message)
                        .help("copy it from the page of the deployment"),
                );
                Vec::new()
            }
        }
    }

    /// Complains of `cloud_auth` without the deployment that it is for.
    pub(crate) fn check_cloud(&self, errors: &mut ConfigErrors) {
        if self.cloud_auth.is_none() {
            return;
        }
        let has_others =
            self.user.is_some() || self.api_key.is_some() || self.bearer_token.is_some();
        if self.cloud_id.is_none() {
            let message = "`cloud_auth` is given without `cloud_id`";
            errors.push(
                ConfigError::at("/cloud_auth", message)
                    .help("add `cloud_id`, or write `user` and `password`"),
            );
        } else if has_others {
            let message = "`cloud_auth` is given beside other credentials";
            errors.push(ConfigError::at("/cloud_auth", message).help("remove one of them"));
        }
    }
}

/// User and password.
fn login(auth: &Secret) -> Option<(String, Secret)> {
    let (user, password) = auth.expose().split_once(':')?;
    (!user.is_empty()).then(|| (user.to_owned(), Secret::new(password)))
}

/// The address in an id: `NAME:` and, in base64, `HOST$ELASTICSEARCH$KIBANA`, where both may have a port.
fn address(id: &str) -> Result<Address, String> {
    let broken = || "this is no cloud id".to_owned();
    let encoded = id.rsplit_once(':').map_or(id, |(_, encoded)| encoded);
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_| broken())?;
    let text = String::from_utf8(bytes).map_err(|_| broken())?;
    let mut parts = text.split('$');
    let (host, node) = parts.next().zip(parts.next()).ok_or_else(broken)?;
    if host.is_empty() || node.is_empty() {
        return Err("the cloud id names no Elasticsearch".into());
    }
    let (host, of_host) = with_port(host).ok_or_else(broken)?;
    let (node, of_node) = with_port(node).ok_or_else(broken)?;
    let port = of_node.or(of_host).unwrap_or(PORT);
    Address::parse(
        &format!("https://{node}.{host}:{port}"),
        Scheme::Https,
        PORT,
        None,
    )
}

/// A name, and the port that is written behind it.
fn with_port(text: &str) -> Option<(&str, Option<u16>)> {
    match text.split_once(':') {
        None => Some((text, None)),
        Some((name, port)) => Some((name, Some(port.parse().ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parts: &str, expected: &str) {
        for id in [
            format!("my:deployment:{}", STANDARD.encode(parts)),
            STANDARD.encode(parts),
        ] {
            assert_eq!(address(&id).unwrap().url.as_str(), expected, "{parts}");
        }
    }

    #[test]
    fn an_id_holds_an_address() {
        check("eu.example.io$abc$def", "https://abc.eu.example.io/");
        check(
            "eu.example.io:9243$abc$def",
            "https://abc.eu.example.io:9243/",
        );
        check(
            "eu.example.io$abc:9244$def:1",
            "https://abc.eu.example.io:9244/",
        );
        check("eu.example.io:443$abc$", "https://abc.eu.example.io/");
        check("eu.example.io$abc", "https://abc.eu.example.io/");
    }

    #[test]
    fn what_is_no_id_is_refused() {
        let encode = |text: &str| format!("x:{}", STANDARD.encode(text));
        for id in [
            String::new(),
            "x:???".into(),
            encode("only"),
            encode("$abc$def"),
            encode("host$$def"),
            encode("host:x$abc$"),
            encode("a b$abc$"),
        ] {
            assert!(address(&id).is_err(), "{id}");
        }
    }
}
