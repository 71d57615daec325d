//! Input `monitor_agent`: what every plugin did so far, as JSON and LTSV over HTTP, and as events.

mod figures;
mod pages;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use schemars::JsonSchema;
use sdk::{
    Fut, RunError,
    config::{self, ConfigError, ConfigErrors, Interval, Listen},
    event::{Batch, Tag, write_event},
    input::{Input, InputCx},
    msgpack::write,
    obligation::Obligation,
    plugin::{Build, BuildCx, Descriptor, Stability},
    stop::Stop,
};
use serde::Deserialize;
use serde_json::Value;

use self::figures::Wanted;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "monitor_agent",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Tells over HTTP what every plugin did so far, as Fluentd's monitor_agent",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Input(build),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The address and port to listen on, such as `"0.0.0.0:24220"`, which is the default. In place of `bind` and
    /// `port`.
    pub listen: Option<Listen>,
    /// The IP address to listen on. `"0.0.0.0"` by default.
    pub bind: Option<String>,
    /// The port to listen on. 24220 by default.
    pub port: Option<u16>,
    /// Also make events with this tag, one per plugin.
    pub tag: Option<String>,
    /// How often to make them.
    #[serde(default = "default_emit_interval")]
    pub emit_interval: Interval,
    /// Show the parameters of each plugin, with secrets hidden, unless the query says `with_config=no`.
    #[serde(default)]
    pub include_config: bool,
    /// Show the state of retries of each output, unless the query says `with_retry=no`.
    #[serde(default)]
    pub include_retry: bool,
}

fn default_emit_interval() -> Interval {
    Interval::secs(60)
}

/// The port of Fluentd's `monitor_agent`.
const PORT: u16 = 24_220;

#[derive(Debug)]
struct MonitorAgent {
    address: SocketAddr,
    tag: Option<Tag>,
    emit_interval: Duration,
    wanted: Wanted,
}

fn build(params: Value, _cx: &BuildCx) -> Result<Box<dyn Input>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    let address = address(&config).map_err(|error| vec![error])?;
    if config.emit_interval.0.is_zero() {
        let error = ConfigError::at("/emit_interval", "an interval of 0 would never end");
        return Err(vec![error.help("write at least \"1s\"")]);
    }
    Ok(Box::new(MonitorAgent {
        address,
        tag: config.tag.as_deref().map(Tag::new),
        emit_interval: config.emit_interval.0,
        wanted: Wanted {
            config: config.include_config,
            retry: config.include_retry,
        },
    }))
}

fn address(config: &Config) -> Result<SocketAddr, ConfigError> {
    let Some(listen) = config.listen else {
        let bind = config.bind.as_deref().unwrap_or("0.0.0.0");
        let ip: IpAddr = bind.parse().map_err(|_| {
            ConfigError::at("/bind", format!("{bind:?} is not an IP address"))
                .help("write an address such as \"0.0.0.0\" or \"127.0.0.1\"")
        })?;
        return Ok(SocketAddr::new(ip, config.port.unwrap_or(PORT)));
    };
    if config.bind.is_some() || config.port.is_some() {
        let error = ConfigError::at("/listen", "`listen` stands in place of `bind` and `port`");
        return Err(error.help("write either `listen`, or `bind` and `port`"));
    }
    Ok(listen.0)
}

impl MonitorAgent {
    async fn run(self, cx: InputCx, stop: Stop) -> Result<(), RunError> {
        let failed = |source| RunError::Io {
            what: format!("listen on {}", self.address),
            source,
        };
        let listener = self.listen(&cx).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        cx.ready.set(&format!("listening on {bound}"));
        let app = pages::router(Arc::clone(&cx.monitor), self.wanted);
        let ended = stop.clone();
        let served = axum::serve(listener, app)
            .with_graceful_shutdown(async move { ended.stopped().await })
            .into_future();
        let (served, ()) = tokio::join!(served, self.events(&cx, &stop));
        served.map_err(failed)
    }

    fn listen(&self, cx: &InputCx) -> io::Result<tokio::net::TcpListener> {
        let listener = cx.sockets.take(&cx.sockets.tcp(self.address), || {
            // The standard library lets a port be taken again at once, as the one of tokio does.
            let listener = std::net::TcpListener::bind(self.address)?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })?;
        tokio::net::TcpListener::from_std(listener)
    }

    /// Makes an event of each plugin, again and again.
    async fn events(&self, cx: &InputCx, stop: &Stop) {
        let Some(tag) = &self.tag else {
            return;
        };
        loop {
            tokio::select! {
                () = stop.stopped() => return,
                () = tokio::time::sleep(self.emit_interval) => {}
            }
            let Some(batch) = batch(tag, cx) else {
                continue;
            };
            tokio::select! {
                () = stop.stopped() => return,
                emitted = cx.emit.emit(batch) => if let Err(error) = emitted {
                    // The next ones say the same and more.
                    tracing::warn!(source = %cx.id, %error, "figures were not taken");
                }
            }
        }
    }
}

/// One event per plugin, of now. Fluentd leaves configuration and retries out of events.
fn batch(tag: &Tag, cx: &InputCx) -> Option<Batch> {
    let now = cx.clock.now();
    let (mut events, mut record, mut count) = (Vec::new(), Vec::new(), 0);
    for component in cx.monitor.components() {
        record.clear();
        write::json(
            &mut record,
            &figures::describe(&component, Wanted::default()),
        );
        write_event(&mut events, now, &record);
        count += 1;
    }
    (count > 0).then(|| Batch::new(tag.clone(), events.into(), count, Obligation::nobody()))
}

impl Input for MonitorAgent {
    fn prepare<'a>(&'a self, cx: &'a InputCx) -> Fut<'a, Result<(), RunError>> {
        Box::pin(async {
            let bound = self.listen(cx).map(drop);
            bound.map_err(|source| RunError::Io {
                what: format!("listen on {}", self.address),
                source,
            })
        })
    }

    fn run(self: Box<Self>, cx: InputCx, stop: Stop) -> Fut<'static, Result<(), RunError>> {
        Box::pin((*self).run(cx, stop))
    }
}
