//! The parameters as the running input uses them.

mod checks;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use forward_protocol::Limits;
use sdk::{
    config::{ConfigErrors, Size},
    event::Tag,
};

use tls::ServerFiles;

use crate::{Config, Identity, gate::Rules, partial::PartialSettings};

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// On an address and port.
    Tcp(SocketAddr),
    /// On a Unix socket, with these permissions.
    Unix(PathBuf, Option<u32>),
}

/// What is written into each record. Empty for most sources.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keys {
    pub(crate) address: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) metadata: Option<String>,
}

impl Keys {
    /// Whether nothing is written.
    pub(crate) fn is_empty(&self) -> bool {
        self.address.is_none() && self.hostname.is_none() && self.metadata.is_none()
    }
}

/// Checked parameters.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "parameters are switches where Fluentd has switches"
)]
pub(crate) struct Settings {
    pub(crate) place: Place,
    pub(crate) backlog: i32,
    pub(crate) udp_heartbeat: bool,
    pub(crate) tls: Option<ServerFiles>,
    pub(crate) rules: Option<Arc<Rules>>,
    pub(crate) handshake_timeout: Duration,
    tag: Option<Tag>,
    prefix: Option<String>,
    pub(crate) keys: Keys,
    /// Set when parts of lines are joined.
    pub(crate) partial: Option<PartialSettings>,
    pub(crate) skip_invalid_event: bool,
    /// Whether document ids are made from the sender's chunk id.
    pub(crate) identifies: bool,
    /// How long messages are remembered that may come again.
    pub(crate) duplicate_window: Option<Duration>,
    pub(crate) limits: Limits,
    pub(crate) warn_bytes: usize,
    pub(crate) max_connections: usize,
    pub(crate) message_timeout: Duration,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) deny_keepalive: bool,
    pub(crate) send_keepalive_packet: bool,
}

impl Settings {
    /// Checks what the schema cannot. `hostname` is the name of this host.
    ///
    /// `state_dir` is where this source may keep state, when it may.
    pub(crate) fn new(
        config: Config,
        hostname: &str,
        state_dir: Option<&Path>,
    ) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let place = checks::place(&config, &mut errors);
        checks::amounts(&config, &mut errors);
        checks::keys(&config, &mut errors);
        let partial = checks::partial(&config, state_dir, &mut errors);
        let tls = config
            .tls
            .as_ref()
            .and_then(|tls| tls.check("/tls", &mut errors));
        let rules = config
            .security
            .as_ref()
            .map(|security| checks::rules(security, hostname, &mut errors));
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            place,
            backlog: config.backlog,
            udp_heartbeat: config.udp_heartbeat,
            tls,
            rules: rules.map(Arc::new),
            handshake_timeout: config.handshake_timeout.0,
            tag: config.tag.as_deref().map(Tag::new),
            prefix: config.add_tag_prefix,
            keys: Keys {
                address: config.source_address_key,
                hostname: config.source_hostname_key,
                metadata: config.metadata_key,
            },
            partial,
            skip_invalid_event: config.skip_invalid_event,
            identifies: config.identity == Identity::Origin,
            duplicate_window: config.duplicate_window.map(|interval| interval.0),
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
