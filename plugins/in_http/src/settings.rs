//! What the parameters come to when they are read together.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use sdk::{
    config::{ConfigError, ConfigErrors},
    event::FieldPath,
    parser::Parser,
    plugin::BuildCx,
};
use tls::ServerFiles;

use crate::{
    Config, Identity,
    access::{Doors, Origins},
};

/// Fluentd's port.
const PORT: u16 = 9880;

/// Checked parameters.
pub(crate) struct Settings {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<ServerFiles>,
    pub(crate) doors: Option<Doors>,
    pub(crate) origins: Option<Origins>,
    pub(crate) time_key: FieldPath,
    pub(crate) parser: Option<Arc<dyn Parser>>,
    pub(crate) body_bytes: usize,
    pub(crate) identifies: bool,
    pub(crate) duplicate_window: Option<Duration>,
    pub(crate) config: Config,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Settings({})", self.address)
    }
}

impl Settings {
    /// Checks what the schema cannot.
    ///
    /// # Errors
    /// Every contradiction.
    pub(crate) fn new(config: Config, cx: &BuildCx) -> Result<Self, ConfigErrors> {
        let mut errors = Vec::new();
        let address = address(&config, &mut errors);
        let tls = config.tls.as_ref();
        let tls = tls.and_then(|tls| tls.check("/tls", &mut errors));
        let doors = config.auth.as_ref();
        let doors = doors.and_then(|auth| Doors::new(auth, &mut errors));
        let origins = Origins::new(&config, &mut errors);
        let parser = config
            .parse
            .as_ref()
            .map(|table| cx.parser("/parse", table));
        let parser = match parser.transpose() {
            Ok(parser) => parser,
            Err(found) => {
                errors.extend(found);
                None
            }
        };
        if !config.health_path.starts_with('/') {
            let message = format!("{:?} is no path", config.health_path);
            errors.push(ConfigError::at("/health_path", message).help("begin it with \"/\""));
        }
        if config.body_size_limit.0 == 0 {
            let error = ConfigError::at("/body_size_limit", "nothing could be sent");
            errors.push(error.help("write a size such as \"32MiB\""));
        }
        if config.identity == Identity::Origin && config.duplicate_window.is_some() {
            // Both are useful together: the buffer forgets, an output with ids does not.
            tracing::debug!("ids of documents and a window of repetitions are both in use");
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            address,
            tls: tls.map(|files| files.alpn(&["http/1.1"])),
            doors,
            origins,
            time_key: FieldPath::key(&config.time_key),
            parser,
            body_bytes: config.body_size_limit.as_usize(),
            identifies: config.identity == Identity::Origin,
            duplicate_window: config.duplicate_window.map(|interval| interval.0),
            config,
        })
    }
}

fn address(config: &Config, errors: &mut ConfigErrors) -> SocketAddr {
    let default = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    if let Some(listen) = config.listen {
        if config.bind.is_some() || config.port.is_some() {
            let error = ConfigError::at("/listen", "stands beside \"bind\" or \"port\"");
            errors.push(error.help("write one of both"));
        }
        return listen.0;
    }
    let ip = config.bind.as_deref().map(|bind| {
        bind.trim_matches(['[', ']']).parse().unwrap_or_else(|_| {
            let error = ConfigError::at("/bind", format!("{bind:?} is no IP address"));
            errors.push(error.help("write one such as \"0.0.0.0\" or \"::\""));
            default
        })
    });
    SocketAddr::new(ip.unwrap_or(default), config.port.unwrap_or(PORT))
}
