//! What the parameters come to when they are read together.

use std::{net::IpAddr, sync::Arc, time::Duration};

use forward_protocol::handshake::Identity;
use sdk::{
    config::{ConfigError, ConfigErrors, Secret},
    plugin::BuildCx,
};
use tls::{Client, ClientTls};

use crate::{
    config::{Config, HeartbeatType, Security, Server, Transport},
    connection::Patience,
    dial::Dialer,
    discovery::Lookup,
    health::Rules,
    message::Recipe,
    names::NameRules,
    node::{Common, Spec},
    rewrite::Rewrite,
};

/// How long an idle connection is kept when nothing is said.
const FOR_EVER: Duration = Duration::from_hours(24 * 365);

impl Config {
    /// How messages are made.
    pub(crate) fn recipe(&self) -> Recipe {
        Recipe {
            asks_ack: self.require_ack_response,
            compress: self.compress,
            rewrite: Rewrite {
                time_as_integer: self.time_as_integer,
                drops_metadata: !self.retain_metadata_in_forward_mode,
            },
        }
    }

    /// What all servers have in common.
    ///
    /// # Errors
    /// Every contradiction.
    pub(crate) fn common(&self, cx: &BuildCx) -> Result<Common, ConfigErrors> {
        let mut errors = Vec::new();
        self.check_times(&mut errors);
        let tls = self.connector(&mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let keepalive_timeout = self.keepalive_timeout.map_or(FOR_EVER, |timeout| timeout.0);
        Ok(Common {
            output: Arc::clone(&cx.id),
            dialer: Dialer {
                connect_timeout: self.connect_timeout.0,
                handshake_timeout: self.hard_timeout.0,
                send_keepalive_packet: self.send_keepalive_packet,
                tls,
            },
            names: NameRules {
                expire: self.expire_dns_cache.0,
                round_robin: self.dns_round_robin,
            },
            rules: Rules {
                beats: self.heartbeat_type != HeartbeatType::None,
                interval: self.heartbeat_interval.0,
                hard_timeout: self.hard_timeout.0,
                recover_wait: self.recover_wait.0,
                phi_threshold: self
                    .phi_failure_detector
                    .then_some(f64::from(self.phi_threshold)),
            },
            patience: Patience {
                send: self.send_timeout.0,
                ack: self.ack_response_timeout.0,
            },
            asks_ack: self.require_ack_response,
            keepalive: self.keepalive.then_some(keepalive_timeout),
            metrics: cx.metrics.clone(),
        })
    }

    fn check_times(&self, errors: &mut ConfigErrors) {
        let times = [
            ("ack_response_timeout", self.ack_response_timeout, 1_000),
            ("connect_timeout", self.connect_timeout, 1),
            ("send_timeout", self.send_timeout, 1),
            ("hard_timeout", self.hard_timeout, 1),
            ("heartbeat_interval", self.heartbeat_interval, 10),
        ];
        for (name, time, least_ms) in times {
            if time.0 < Duration::from_millis(least_ms) {
                let message = format!("{time} is too short for `{name}`");
                let error = ConfigError::at(format!("/{name}"), message);
                errors.push(error.help(format!("write at least {least_ms}ms")));
            }
        }
        if self.dns_round_robin && self.heartbeat_type == HeartbeatType::Udp {
            let message = "`dns_round_robin` and `heartbeat_type = \"udp\"` do not go together: heartbeats would tell of \
                           another address than the records take";
            errors.push(
                ConfigError::at("/dns_round_robin", message)
                    .help("write `heartbeat_type = \"transport\"`"),
            );
        }
    }

    /// Where servers are looked for.
    ///
    /// # Errors
    /// What is missing or makes no sense.
    pub(crate) fn lookups(&self) -> Result<Vec<Lookup>, ConfigErrors> {
        let mut errors = Vec::new();
        let mut lookups = Vec::new();
        for (index, table) in self.service_discovery.iter().enumerate() {
            match Lookup::new(table) {
                Ok(lookup) => lookups.push(lookup),
                Err((key, message, help)) => {
                    let place = format!("/service_discovery/{index}{key}");
                    errors.push(ConfigError::at(place, message).help(help));
                }
            }
        }
        if errors.is_empty() {
            Ok(lookups)
        } else {
            Err(errors)
        }
    }

    fn connector(&self, errors: &mut ConfigErrors) -> Option<Arc<Client>> {
        let tls = match (self.transport, &self.tls) {
            (Some(Transport::Tcp), Some(_)) => {
                let message = "`transport = \"tcp\"` has no use for the table `tls`";
                let error = ConfigError::at("/transport", message);
                errors.push(error.help("leave one of them out"));
                return None;
            }
            (None | Some(Transport::Tcp), None) => return None,
            (Some(Transport::Tls), None) => ClientTls::default(),
            (_, Some(tls)) => tls.clone(),
        };
        match Client::new(tls, "/tls") {
            Ok(client) => Some(Arc::new(client)),
            Err(found) => {
                errors.extend(found);
                None
            }
        }
    }

    /// The servers of the configuration.
    ///
    /// # Errors
    /// Every contradiction in their tables.
    pub(crate) fn servers(&self, cx: &BuildCx) -> Result<Vec<Spec>, ConfigErrors> {
        let mut errors = Vec::new();
        let mut specs: Vec<Spec> = Vec::new();
        for (index, server) in self.server.iter().enumerate() {
            let place = format!("/server/{index}");
            if let Some(message) = server.contradiction(self.security.as_ref()) {
                let error = ConfigError::at(&place, message);
                errors.push(error.help(
                    "add [match.security] with shared_key: without the handshake nothing of it is sent",
                ));
            }
            let spec = server.spec(self.security.as_ref(), &cx.hostname);
            if specs.iter().any(|other| other.name == spec.name) {
                let message = format!("there are two servers named {:?}", spec.name);
                errors.push(ConfigError::at(&place, message).help("give each its own `name`"));
            }
            specs.push(spec);
        }
        if !self.service_discovery.is_empty() {
            // There may be servers, and there may be none; that is for later.
        } else if self.server.is_empty() {
            let error = ConfigError::at("/server", "there is no server");
            errors.push(error.help("add a table [[match.server]] with `host`"));
        } else if self.server.iter().all(|server| server.weight == 0) {
            let error = ConfigError::at(
                "/server",
                "every server has weight 0, so none takes records",
            );
            errors.push(error.help("leave `weight` out of one of them"));
        }
        if errors.is_empty() {
            Ok(specs)
        } else {
            Err(errors)
        }
    }
}

impl Server {
    fn contradiction(&self, security: Option<&Security>) -> Option<String> {
        let given = [
            ("shared_key", self.shared_key.is_some()),
            ("username", self.username.is_some()),
            ("password", self.password.is_some()),
        ];
        let (name, _) = given.into_iter().find(|(_, is_given)| *is_given)?;
        security
            .is_none()
            .then(|| format!("`{name}` needs the table `security`"))
    }

    /// What is said of it, with `hostname` as the name of this host.
    pub(crate) fn spec(&self, security: Option<&Security>, hostname: &str) -> Spec {
        let name = self
            .name
            .clone()
            .unwrap_or_else(|| format!("{}:{}", self.host, self.port));
        let is_address = self.host.parse::<IpAddr>().is_ok();
        let tls_name = self.name.as_ref().filter(|_| is_address);
        let identity = security.map(|security| {
            let own = security.self_hostname.as_deref().unwrap_or(hostname);
            let key = self.shared_key.as_ref().unwrap_or(&security.shared_key);
            Identity {
                self_hostname: own.to_owned(),
                shared_key: key.clone(),
                username: self.username.clone().unwrap_or_default(),
                password: self.password.clone().unwrap_or_else(|| Secret::new("")),
            }
        });
        Spec {
            tls_name: tls_name.unwrap_or(&self.host).clone(),
            name,
            host: self.host.clone(),
            port: self.port,
            weight: self.weight,
            standby: self.standby,
            identity,
        }
    }
}
