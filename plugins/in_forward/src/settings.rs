//! The parameters as the running input uses them.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use forward_protocol::Limits;
use sdk::{
    config::{ConfigError, ConfigErrors, Size},
    event::Tag,
};

use crate::{Config, Identity};

/// Fluentd's port.
const PORT: u16 = 24224;

/// Checked parameters.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    pub(crate) backlog: i32,
    tag: Option<Tag>,
    prefix: Option<String>,
    /// Whether document ids are made from the sender's chunk id.
    pub(crate) identifies: bool,
    pub(crate) limits: Limits,
    pub(crate) warn_bytes: usize,
    pub(crate) max_connections: usize,
    pub(crate) message_timeout: Duration,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) deny_keepalive: bool,
    pub(crate) send_keepalive_packet: bool,
}

impl Settings {
    /// Checks what the schema cannot.
    pub(crate) fn new(config: Config) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let address = address(&config, &mut errors);
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
        if config.message_timeout.0.is_zero() {
            errors.push(
                ConfigError::at("/message_timeout", "a timeout of 0 closes every connection")
                    .help("write \"60s\", for example"),
            );
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            address,
            backlog: config.backlog,
            tag: config.tag.as_deref().map(Tag::new),
            prefix: config.add_tag_prefix,
            identifies: config.identity == Identity::Origin,
            limits: Limits {
                message_bytes: config.chunk_size_limit.as_usize(),
                inflated_bytes: config.decompression_size_limit.0,
                ..Limits::default()
            },
            warn_bytes: config
                .chunk_size_warn_limit
                .map_or(usize::MAX, Size::as_usize),
            max_connections: config.max_connections,
            message_timeout: config.message_timeout.0,
            idle_timeout: config.idle_timeout.map(|interval| interval.0),
            deny_keepalive: config.deny_keepalive,
            send_keepalive_packet: config.send_keepalive_packet,
        })
    }

    /// Whether tags stay as they come.
    pub(crate) fn keeps_tags(&self) -> bool {
        self.tag.is_none() && self.prefix.is_none()
    }

    /// The tag that the events of a message with this tag get.
    pub(crate) fn tag(&self, came: &Tag) -> Tag {
        let tag = self.tag.as_ref().unwrap_or(came);
        match &self.prefix {
            None => tag.clone(),
            Some(prefix) => Tag::new(&format!("{prefix}.{tag}")),
        }
    }
}

fn address(config: &Config, errors: &mut ConfigErrors) -> SocketAddr {
    let default = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    if let Some(listen) = config.listen {
        if config.bind.is_some() || config.port.is_some() {
            let error = ConfigError::at(
                "/listen",
                "stands beside \"bind\" or \"port\", which say the same",
            );
            errors.push(error.help("keep \"listen\" alone, or leave it out"));
        }
        return listen.0;
    }
    let ip = config.bind.as_deref().map_or(Ok(default), str::parse);
    let ip = ip.unwrap_or_else(|_| {
        let text = config.bind.as_deref().unwrap_or_default();
        let error = ConfigError::at("/bind", format!("{text:?} is not an IP address"));
        errors.push(error.help("write one such as \"0.0.0.0\", \"127.0.0.1\" or \"::\""));
        default
    });
    SocketAddr::new(ip, config.port.unwrap_or(PORT))
}
