//! What the schema cannot check, each complaint at its place.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

use forward_protocol::handshake::User;
use sdk::config::{ConfigError, ConfigErrors, Size};

use tokio_rustls::rustls::crypto::ring::default_provider;

use super::Place;
use crate::{
    Client, Config, Security,
    gate::{Rule, Rules, Whence},
    partial::PartialSettings,
};

/// A joined line has to find its place in a frame of a buffer.
const PARTIAL_SIZE_MAX: Size = Size(16 << 20);
/// Fluentd's port.
const PORT: u16 = 24224;

/// Where to listen.
pub(super) fn place(config: &Config, errors: &mut ConfigErrors) -> Place {
    let has_parts = config.bind.is_some() || config.port.is_some();
    if let Some(path) = &config.path {
        if has_parts || config.listen.is_some() {
            let error = ConfigError::at(
                "/path",
                "stands beside an address, and one source listens in one place",
            );
            errors.push(error.help("write a source of its own for each"));
        }
        if config.tls.is_some() {
            let error = ConfigError::at("/tls", "is not spoken over a Unix socket");
            errors.push(error.help("leave it out: what is written there does not leave this host"));
        }
        let perm = config.unix_perm.as_deref().map(|text| {
            let perm = u32::from_str_radix(text, 8)
                .ok()
                .filter(|perm| *perm <= 0o777);
            perm.unwrap_or_else(|| {
                let error = ConfigError::at("/unix_perm", format!("{text:?} is no file mode"));
                errors.push(error.help("write three octal digits, such as \"660\""));
                0
            })
        });
        return Place::Unix(path.into(), perm);
    }
    if config.unix_perm.is_some() {
        let error = ConfigError::at(
            "/unix_perm",
            "says who may write to a Unix socket, but there is none",
        );
        errors.push(error.help("leave it out, or write \"path\""));
    }
    let default = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    if let Some(listen) = config.listen {
        if has_parts {
            let error = ConfigError::at(
                "/listen",
                "stands beside \"bind\" or \"port\", which say the same",
            );
            errors.push(error.help("keep \"listen\" alone, or leave it out"));
        }
        return Place::Tcp(listen.0);
    }
    let ip = config.bind.as_deref().map_or(Ok(default), str::parse);
    let ip = ip.unwrap_or_else(|_| {
        let text = config.bind.as_deref().unwrap_or_default();
        let error = ConfigError::at("/bind", format!("{text:?} is not an IP address"));
        errors.push(error.help("write one such as \"0.0.0.0\", \"127.0.0.1\" or \"::\""));
        default
    });
    Place::Tcp(SocketAddr::new(ip, config.port.unwrap_or(PORT)))
}

/// Limits and timeouts that nothing could pass.
pub(super) fn amounts(config: &Config, errors: &mut ConfigErrors) {
    for (path, limit) in [
        ("/chunk_size_limit", config.chunk_size_limit),
        ("/decompression_size_limit", config.decompression_size_limit),
    ] {
        if limit.0 == 0 {
            errors.push(
                ConfigError::at(path, "a limit of 0 takes nothing")
                    .help("leave it out, or write a size such as \"272MiB\""),
            );
        }
    }
    for (path, timeout) in [
        ("/message_timeout", config.message_timeout),
        ("/handshake_timeout", config.handshake_timeout),
    ] {
        if timeout.0.is_zero() {
            errors.push(
                ConfigError::at(path, "a timeout of 0 closes every connection")
                    .help("write \"60s\", for example"),
            );
        }
    }
}

/// What is to be done with the parts of lines.
pub(super) fn partial(
    config: &Config,
    state_dir: Option<&Path>,
    errors: &mut ConfigErrors,
) -> Option<PartialSettings> {
    if !config.join_partial_messages {
        return None;
    }
    if config.partial_timeout.0.is_zero() {
        let error = ConfigError::at("/partial_timeout", "a timeout of 0 joins nothing");
        errors.push(error.help("write \"60s\", for example"));
    }
    if !(1..=PARTIAL_SIZE_MAX.0).contains(&config.partial_size_limit.0) {
        let message = format!("the longest line has between 1 byte and {PARTIAL_SIZE_MAX}");
        let error = ConfigError::at("/partial_size_limit", message);
        errors.push(error.help("write \"4MiB\", for example"));
    }
    let Some(dir) = state_dir else {
        let message =
            "keeps parts that were acknowledged on disk, so the source needs an id of its own";
        let error = ConfigError::at("/join_partial_messages", message);
        errors.push(error.help("add a line such as id = \"docker\""));
        return None;
    };
    Some(PartialSettings {
        timeout: config.partial_timeout.0,
        size_limit: config.partial_size_limit.as_usize(),
        dir: dir.join("partial"),
    })
}

/// The names of senders, as Fluentd checks them.
pub(super) fn keys(config: &Config, errors: &mut ConfigErrors) {
    if config.source_hostname_key.is_some() && config.resolve_hostname == Some(false) {
        let error = ConfigError::at(
            "/resolve_hostname",
            "is false, but \"source_hostname_key\" needs the names of senders",
        );
        errors.push(error.help("leave one of them out; \"source_address_key\" needs no DNS"));
    }
}

/// Who is let in.
pub(super) fn rules(security: &Security, hostname: &str, errors: &mut ConfigErrors) -> Rules {
    if security.user_auth && security.user.is_empty() {
        let error = ConfigError::at(
            "/security/user_auth",
            "users are asked for, but there is none",
        );
        errors.push(error.help("add [[source.security.user]] with \"username\" and \"password\""));
    }
    if !security.allow_anonymous_source && security.client.is_empty() {
        let error = ConfigError::at(
            "/security/allow_anonymous_source",
            "is false, but no client is named: nobody could send anything",
        );
        errors.push(error.help("add [[source.security.client]] with \"host\" or \"network\""));
    }
    let users: Vec<User> = security
        .user
        .iter()
        .map(|user| User {
            username: user.username.clone(),
            password: user.password.clone(),
        })
        .collect();
    let clients = security.client.iter().enumerate();
    let clients = clients
        .filter_map(|(index, client)| rule(client, index, security, &users, errors))
        .collect();
    Rules {
        self_hostname: security.self_hostname.as_deref().unwrap_or(hostname).into(),
        shared_key: security.shared_key.clone(),
        users: security.user_auth.then(|| users.into()),
        allow_anonymous_source: security.allow_anonymous_source,
        clients,
        random: default_provider().secure_random,
    }
}

fn rule(
    client: &Client,
    index: usize,
    security: &Security,
    users: &[User],
    errors: &mut ConfigErrors,
) -> Option<Rule> {
    let at = |key: &str| format!("/security/client/{index}{key}");
    for (place, name) in client.users.iter().enumerate() {
        if !users.iter().any(|user| user.username == *name) {
            let error = ConfigError::at(
                at(&format!("/users/{place}")),
                format!("{name:?} is no user"),
            );
            errors.push(error.help("add [[source.security.user]] with this \"username\""));
        }
    }
    let whence = match (&client.host, &client.network) {
        (Some(host), None) => host.parse().map_or_else(
            |_| Whence::Name(host.clone()),
            |ip: IpAddr| Whence::Network(ip.to_canonical().into()),
        ),
        (None, Some(network)) => {
            if let Ok(network) = network.parse() {
                Whence::Network(network)
            } else if let Ok(ip) = network.parse::<IpAddr>() {
                Whence::Network(ip.to_canonical().into())
            } else {
                let error =
                    ConfigError::at(at("/network"), format!("{network:?} is not a network"));
                errors.push(error.help("write an address and a length, such as \"10.0.0.0/8\""));
                return None;
            }
        }
        (has, _) => {
            let message = match has {
                Some(_) => "has both \"host\" and \"network\"",
                None => "has neither \"host\" nor \"network\"",
            };
            errors.push(ConfigError::at(at(""), message).help("write one of them"));
            return None;
        }
    };
    let allowed = |user: &&User| client.users.is_empty() || client.users.contains(&user.username);
    Some(Rule {
        whence,
        shared_key: client.shared_key.clone(),
        users: security
            .user_auth
            .then(|| users.iter().filter(allowed).cloned().collect()),
    })
}
