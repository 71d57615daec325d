//! Output `null`: discards records, or, for tests, refuses every chunk.

use std::sync::Arc;

use schemars::JsonSchema;
use sdk::{
    Fut,
    config::{self, ConfigErrors},
    output::{ChunkView, Failure, FailureKind, Outcome, Output},
    plugin::{Build, BuildCx, DefaultBuffer, Descriptor, Stability},
};
use serde::Deserialize;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "null",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Discards records",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Output(build, DefaultBuffer::Memory),
};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Fail every flush, so that retry, limits and back-pressure can be watched.
    #[serde(default)]
    pub never_flush: bool,
}

/// Takes everything, or nothing.
#[derive(Debug)]
struct Null {
    never_flush: bool,
}

fn build(params: serde_json::Value, _cx: &BuildCx) -> Result<Arc<dyn Output>, ConfigErrors> {
    let Config { never_flush } = config::parse(params)?;
    Ok(Arc::new(Null { never_flush }))
}

impl Output for Null {
    fn write<'a>(&'a self, _chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        let outcome = if self.never_flush {
            let failure = Failure::new(FailureKind::Rejected, "never_flush is set");
            Outcome::RetryChunk(None, failure)
        } else {
            Outcome::Delivered
        };
        Box::pin(std::future::ready(outcome))
    }
}

#[cfg(test)]
mod tests {
    use sdk::testing::frame;
    use serde_json::json;

    use super::*;

    async fn write(params: serde_json::Value) -> Outcome {
        let output = build(params, &BuildCx::detached("test")).unwrap();
        let frames = [frame(1, "app", &[json!({ "a": 1 })])];
        let chunk = ChunkView {
            buffer: 0,
            frames: &frames,
            live: None,
            attempt: 0,
        };
        output.write(chunk).await
    }

    #[tokio::test]
    async fn records_are_discarded() {
        assert_eq!(write(json!({})).await, Outcome::Delivered);
    }

    #[tokio::test]
    async fn nothing_is_taken_when_it_never_flushes() {
        let outcome = write(json!({ "never_flush": true })).await;
        assert!(
            matches!(outcome, Outcome::RetryChunk(None, _)),
            "{outcome:?}"
        );
    }
}
