//! The client: made when it is first needed, and again when the files of TLS change.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use reqwest::redirect::Policy;
use sdk::output::{Failure, FailureKind};
use tokio_rustls::rustls::ClientConfig;

/// How connections are made and kept.
#[derive(Debug)]
pub struct Options {
    /// How long a connection may take, with the TLS handshake.
    pub connect_timeout: Duration,
    /// Silence after which a connection is closed; `None` closes each after its request.
    pub idle_timeout: Option<Duration>,
    /// What stands between us and the servers.
    pub proxy: Proxy,
}

/// Which proxy requests go through.
#[derive(Debug)]
pub enum Proxy {
    /// None, whatever the environment says.
    None,
    /// The one that `http_proxy`, `https_proxy` and `no_proxy` name.
    OfEnvironment,
    /// This one.
    At(Box<reqwest::Proxy>),
}

/// Makes the client.
#[derive(Debug)]
pub struct Client {
    options: Options,
    /// `None` where nothing speaks TLS.
    tls: Option<tls::Client>,
    latest: Mutex<Option<Made>>,
}

/// A client, and what its TLS was made of.
#[derive(Debug)]
struct Made {
    tls: Option<Arc<ClientConfig>>,
    client: reqwest::Client,
}

impl Client {
    /// Does no I/O.
    pub fn new(options: Options, tls: Option<tls::Client>) -> Self {
        Self {
            options,
            tls: tls.map(|client| client.alpn(&["http/1.1"])),
            latest: Mutex::new(None),
        }
    }

    /// The client, with what the files of TLS hold now.
    ///
    /// # Errors
    /// They cannot be used.
    pub async fn get(&self) -> Result<reqwest::Client, Failure> {
        let failed = |message: String| Failure::new(FailureKind::Tls, message);
        let tls = match &self.tls {
            None => None,
            Some(tls) => {
                let config = tls.config().await;
                Some(config.map_err(|error| failed(error.to_string()))?)
            }
        };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = &*latest
            && made.tls.as_ref().map(Arc::as_ptr) == tls.as_ref().map(Arc::as_ptr)
        {
            return Ok(made.client.clone());
        }
        let client = self.build(tls.as_ref());
        let client = client.map_err(|error| failed(format!("no client can be made: {error}")))?;
        *latest = Some(Made {
            tls,
            client: client.clone(),
        });
        Ok(client)
    }

    fn build(&self, tls: Option<&Arc<ClientConfig>>) -> reqwest::Result<reqwest::Client> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .connect_timeout(self.options.connect_timeout)
            .tcp_nodelay(true)
            .http1_only();
        builder = match self.options.idle_timeout {
            Some(timeout) => builder.pool_idle_timeout(timeout),
            None => builder.pool_max_idle_per_host(0),
        };
        builder = match &self.options.proxy {
            Proxy::None => builder.no_proxy(),
            Proxy::OfEnvironment => builder,
            Proxy::At(proxy) => builder.no_proxy().proxy((**proxy).clone()),
        };
        if let Some(config) = tls {
            builder = builder.use_preconfigured_tls((**config).clone());
        }
        builder.build()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn the_client_is_made_once_for_the_same_files() {
        let certs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../in_forward/src/tests/certs");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::copy(certs.join("authority.pem"), &path).unwrap();
        let table = json!({ "ca_cert_path": path });
        let table = serde_json::from_value(table).unwrap();
        let options = Options {
            connect_timeout: Duration::from_secs(1),
            idle_timeout: None,
            proxy: Proxy::None,
        };
        let client = Client::new(options, tls::Client::new(table, "/tls").ok());
        let made = || async {
            client.get().await.unwrap();
            let latest = client.latest.lock().unwrap();
            Arc::clone(latest.as_ref().unwrap().tls.as_ref().unwrap())
        };
        let first = made().await;
        assert!(Arc::ptr_eq(&first, &made().await));
        std::fs::copy(certs.join("other_authority.pem"), &path).unwrap();
        assert!(!Arc::ptr_eq(&first, &made().await));
        drop(folder);
        let failure = client.get().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Tls);
        assert!(failure.message.contains("ca_cert_path"), "{failure}");
    }
}
