//! What the bench of the encoder has to reach; for nothing else.

use bytes::Bytes;
use sdk::{config::ConfigErrors, output::ChunkView, plugin::BuildCx};

use crate::{Elasticsearch, bulk::gzip, document};

/// An encoder without an output around it.
#[derive(Debug)]
pub struct Encoder(Elasticsearch);

impl Encoder {
    /// For these parameters.
    ///
    /// # Errors
    /// Parameters that are not right.
    pub fn new(params: serde_json::Value) -> Result<Self, ConfigErrors> {
        let config = sdk::config::parse(params)?;
        Elasticsearch::new(&config, &BuildCx::detached("bench")).map(Self)
    }

    /// The body of the bulk request for a chunk.
    pub async fn encode(&self, chunk: ChunkView<'_>) -> Bytes {
        document::write(&self.0.recipe, chunk).await.body
    }

    /// The body as it goes out with `compression = "gzip"` at this level.
    ///
    /// # Errors
    /// Those of the library.
    pub fn gzip(body: &[u8], level: u32) -> std::io::Result<Bytes> {
        gzip::gzip(body, level)
    }
}
