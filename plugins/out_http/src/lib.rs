//! Output `http`: records in the bodies of HTTP requests, to any service or to another Weir.

mod body;
mod config;
mod identity;
mod judge;
mod request;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http_client::Client;
use sdk::{
    Fut,
    config::ConfigErrors,
    output::{ChunkView, Failure, Outcome, Output},
    plugin::{Build, BuildCx, DefaultBuffer, Descriptor, Stability},
};

pub use config::{Auth, Compress, Config, HttpMethod, Method};
use settings::Settings;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "http",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Sends records in the bodies of HTTP requests",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Output(build, DefaultBuffer::File),
};

struct Http {
    settings: Settings,
    client: Client,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Output>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    let (settings, client) = Settings::new(config, cx)?;
    Ok(Arc::new(Http { settings, client }))
}

impl Output for Http {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(request::deliver(&self.settings, &self.client, chunk))
    }

    fn reach(&self) -> Fut<'_, Result<Vec<String>, Failure>> {
        Box::pin(async move { Ok(vec![request::reach(&self.settings, &self.client).await?]) })
    }
}
