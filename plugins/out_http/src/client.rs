//! The HTTP client: made when it is first needed, and again when the files of TLS change.

use std::sync::{Arc, Mutex, PoisonError};

use sdk::{
    config::{ConfigError, ConfigErrors},
    output::{Failure, FailureKind},
};
use tokio_rustls::rustls::ClientConfig;

use crate::Config;

/// Silence after which an idle connection is closed: below what servers commonly allow.
const IDLE_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

/// Makes the client.
pub(crate) struct Client {
    open_timeout: std::time::Duration,
    reuse_connections: bool,
    proxy: Option<reqwest::Proxy>,
    /// Set when the endpoint speaks TLS.
    tls: Option<tls::Client>,
    latest: Mutex<Option<(Option<Arc<ClientConfig>>, reqwest::Client)>>,
}

impl Client {
    /// Does no I/O.
    ///
    /// # Errors
    /// A proxy that is none, and what `[match.tls]` has wrong.
    pub(crate) fn new(config: &Config, is_tls: bool) -> Result<Self, ConfigErrors> {
        let proxy = config.proxy.as_deref().map(reqwest::Proxy::all).transpose();
        let proxy = proxy.map_err(|_| {
            let error = ConfigError::at("/proxy", "is not an address");
            vec![error.help("write one such as \"http://proxy.example.com:3128\"")]
        })?;
        let tls = is_tls.then(|| config.tls.clone().unwrap_or_default());
        let tls = tls
            .map(|table| tls::Client::new(table, "/tls"))
            .transpose()?;
        Ok(Self {
            open_timeout: config.open_timeout.0,
            reuse_connections: config.reuse_connections,
            proxy,
            tls: tls.map(|client| client.alpn(&["http/1.1"])),
            latest: Mutex::new(None),
        })
    }

    /// The client, with what the files of TLS hold now.
    ///
    /// # Errors
    /// They cannot be used.
    pub(crate) async fn get(&self) -> Result<reqwest::Client, Failure> {
        let failed = |message: String| Failure::new(FailureKind::Tls, message);
        let config = match &self.tls {
            None => None,
            Some(tls) => {
                let config = tls.config().await;
                Some(config.map_err(|error| failed(error.to_string()))?)
            }
        };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made_with, client)) = &*latest
            && is_same(made_with.as_ref(), config.as_ref())
        {
            return Ok(client.clone());
        }
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(self.open_timeout)
            .tcp_nodelay(true)
            .http1_only()
            .no_proxy()
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(if self.reuse_connections {
                usize::MAX
            } else {
                0
            });
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        if let Some(config) = &config {
            builder = builder.use_preconfigured_tls((**config).clone());
        }
        let client = builder.build();
        let client = client.map_err(|error| failed(format!("no client can be made: {error}")))?;
        *latest = Some((config, client.clone()));
        Ok(client)
    }
}

fn is_same(one: Option<&Arc<ClientConfig>>, other: Option<&Arc<ClientConfig>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}
