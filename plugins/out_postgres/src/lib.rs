//! Output `postgres`: rows of a table in `PostgreSQL`, each record exactly once.

mod config;
mod copy;
mod deliver;
mod pool;
mod row;
mod secure;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod trouble;

use std::sync::Arc;

use sdk::{
    Fut, RunError,
    config::ConfigErrors,
    output::{ChunkView, Failure, Outcome, Output},
    plugin::{Build, BuildCx, DefaultBuffer, Descriptor, Stability},
    stop::Stop,
};

pub use config::{Column, Config, SslMode};
use pool::Pool;
use settings::Settings;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "postgres",
    aliases: &["postgresql"],
    stability: Stability::Beta,
    summary: "Writes rows of a table in PostgreSQL",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Output(build, DefaultBuffer::File),
};

struct Postgres {
    settings: Settings,
    pool: Pool,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Output>, ConfigErrors> {
    let config: Config = sdk::config::parse(params)?;
    let (settings, pool) = Settings::new(&config, cx)?;
    Ok(Arc::new(Postgres { settings, pool }))
}

impl Output for Postgres {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(deliver::deliver(&self.settings, &self.pool, chunk))
    }

    fn reach(&self) -> Fut<'_, Result<Vec<String>, Failure>> {
        Box::pin(self.pool.reach())
    }

    fn run(&self, stop: Stop) -> Fut<'_, Result<(), RunError>> {
        Box::pin(async move {
            table::prune_until(&self.settings, &self.pool, &stop).await;
            Ok(())
        })
    }
}
