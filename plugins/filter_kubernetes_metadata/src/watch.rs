//! Following pods and namespaces at the API server: list, watch, bookmarks, begin again after an error or 410 Expired.
//!
//! An outage of the API server never stops the records: it is counted, logged once in a while, and tried again.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use futures_util::{Stream, StreamExt, TryStreamExt};
use kube::{
    Api, Client,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use sdk::metrics::Metrics;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};

use crate::{
    meters::WatchMeters,
    pod::{self, Namespace, NamespaceObject, Pod, PodObject},
    settings::Server,
    store::Store,
};

/// How long one watch lasts before it is asked for anew from where it was. A connection that died silently is noticed
/// after this.
const WATCH_SECONDS: u32 = 150;
/// How long nothing may come over a connection; longer than a watch lasts.
const READ_TIMEOUT: Duration = Duration::from_secs(WATCH_SECONDS as u64 + 5);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before the configuration of the cluster is read again.
const AGAIN: Duration = Duration::from_secs(5);
/// How often deleted pods are forgotten.
const SWEEP: Duration = Duration::from_secs(1);
/// Log lines about failures are at least this far apart.
const QUIET: Duration = Duration::from_secs(30);

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("read {path:?}: {source}")]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path:?} holds no certificate in PEM form")]
    Certificate { path: PathBuf },
    #[error("{0:?} is not an address")]
    Address(String),
    #[error("find the API server: {0}")]
    Infer(#[from] kube::config::InferConfigError),
    #[error("{0}")]
    Client(#[from] kube::Error),
}

/// Begins to follow. The tasks end when the set is dropped.
pub(crate) fn start(server: &Server, store: &Store, metrics: &Metrics) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(pods(
        server.clone(),
        store.clone(),
        WatchMeters::new(metrics, "pods"),
    ));
    if server.watches_namespaces {
        tasks.spawn(namespaces(
            server.clone(),
            store.clone(),
            WatchMeters::new(metrics, "namespaces"),
        ));
    }
    tasks
}

async fn pods(server: Server, store: Store, meters: WatchMeters) {
    let mut trouble = Trouble::new("pods");
    let client = connect(&server, &mut trouble, &meters).await;
    let mut config = watcher::Config::default()
        .any_semantic()
        .timeout(WATCH_SECONDS);
    if let Some(node) = &server.node_name {
        config = config.fields(&format!("spec.nodeName={node}"));
    } else {
        tracing::warn!(
            "kubernetes_metadata watches every pod of the cluster; set node_name to watch those of this node"
        );
    }
    let api: Api<PodObject> = Api::all_with(client, &pod::pods());
    let mut events = Box::pin(events(api, config));
    let mut sweep = interval(SWEEP);
    sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut listing = 0;
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    // A listing is announced before the server was asked.
                    if !matches!(event, Event::Init) {
                        trouble.over(&meters);
                    }
                    apply_pod(&store, event, &mut listing);
                }
                Some(Err(error)) => trouble.say(&meters, &error),
                None => return,
            },
            _ = sweep.tick() => {
                let (pods, _) = store.sweep(Instant::now());
                meters.entries.set(i64::try_from(pods).unwrap_or(i64::MAX));
            }
        }
    }
}

fn apply_pod(store: &Store, event: Event<PodObject>, listing: &mut u64) {
    match event {
        Event::Init => *listing += 1,
        Event::InitApply(object) | Event::Apply(object) => {
            if let Some(pod) = Pod::of(object) {
                store.put_pod(pod, *listing);
            }
        }
        Event::InitDone => store.listed_pods(*listing, Instant::now()),
        Event::Delete(object) => {
            if let Some(uid) = object.metadata.uid {
                store.remove_pod(&uid, Instant::now());
            }
        }
    }
}

async fn namespaces(server: Server, store: Store, meters: WatchMeters) {
    let mut trouble = Trouble::new("namespaces");
    let client = connect(&server, &mut trouble, &meters).await;
    let config = watcher::Config::default()
        .any_semantic()
        .timeout(WATCH_SECONDS);
    let api: Api<NamespaceObject> = Api::all_with(client, &pod::namespaces());
    let mut events = Box::pin(events(api, config));
    let mut listed = Vec::new();
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                if !matches!(event, Event::Init) {
                    trouble.over(&meters);
                }
                apply_namespace(&store, event, &mut listed);
            }
            Err(error) => trouble.say(&meters, &error),
        }
        let (_, namespaces) = store.sweep(Instant::now());
        meters
            .entries
            .set(i64::try_from(namespaces).unwrap_or(i64::MAX));
    }
}

fn apply_namespace(store: &Store, event: Event<NamespaceObject>, listed: &mut Vec<String>) {
    match event {
        Event::Init => listed.clear(),
        Event::InitApply(object) => {
            if let Some((name, namespace)) = Namespace::of(object) {
                listed.push(name.clone());
                store.put_namespace(name, namespace);
            }
        }
        Event::Apply(object) => {
            if let Some((name, namespace)) = Namespace::of(object) {
                store.put_namespace(name, namespace);
            }
        }
        Event::InitDone => store.listed_namespaces(listed),
        Event::Delete(object) => {
            if let Some(name) = object.metadata.name {
                store.remove_namespace(&name);
            }
        }
    }
}

/// List and watch without an end; after an error it waits longer and longer, up to half a minute.
fn events<K>(
    api: Api<K>,
    config: watcher::Config,
) -> impl Stream<Item = Result<Event<K>, watcher::Error>>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    watcher(api, config).default_backoff().into_stream()
}

/// A client, as soon as there can be one.
async fn connect(server: &Server, trouble: &mut Trouble, meters: &WatchMeters) -> Client {
    loop {
        match client(server).await {
            Ok(client) => return client,
            Err(error) => trouble.say(meters, &error),
        }
        sleep(AGAIN).await;
    }
}

async fn client(server: &Server) -> Result<Client, ConnectError> {
    let mut config = match &server.url {
        None => kube::Config::infer().await?,
        Some(url) => {
            let address = url
                .parse()
                .map_err(|_| ConnectError::Address(url.clone()))?;
            let mut config = kube::Config::new(address);
            config.accept_invalid_certs = !server.verify;
            config.auth_info.token_file = server
                .token_file
                .as_ref()
                .map(|path| path.to_string_lossy().into_owned());
            if let Some(path) = &server.ca_file {
                config.root_cert = Some(certificates(path.clone()).await?);
            }
            config
        }
    };
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    Ok(Client::try_from(config)?)
}

async fn certificates(path: PathBuf) -> Result<Vec<Vec<u8>>, ConnectError> {
    let text = match tokio::fs::read(&path).await {
        Ok(text) => text,
        Err(source) => return Err(ConnectError::File { path, source }),
    };
    let certificates: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&text)
        .filter_map(Result::ok)
        .map(|certificate| certificate.to_vec())
        .collect();
    if certificates.is_empty() {
        return Err(ConnectError::Certificate { path });
    }
    Ok(certificates)
}

/// Says once in a while that the API server cannot be used, and once that it can be used again.
struct Trouble {
    resource: &'static str,
    said: Option<Instant>,
}

impl Trouble {
    fn new(resource: &'static str) -> Self {
        Self {
            resource,
            said: None,
        }
    }

    fn say(&mut self, meters: &WatchMeters, error: &dyn std::error::Error) {
        meters.restarts.inc();
        meters.up.set(0);
        if self.said.is_none_or(|said| said.elapsed() >= QUIET) {
            self.said = Some(Instant::now());
            let resource = self.resource;
            let cause = cause(error);
            tracing::warn!(resource, error = %error, cause, "no metadata from the API server now; records go on, and it is tried again");
        }
    }

    fn over(&mut self, meters: &WatchMeters) {
        meters.up.set(1);
        if self.said.take().is_some() {
            let resource = self.resource;
            tracing::info!(resource, "the API server answers again");
        }
    }
}

/// The innermost cause, which says more than the outermost.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
