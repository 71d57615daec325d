//! Why a record cannot become a document.

use sdk::{json::Unwritable, msgpack::Malformed};

/// Why a record cannot become a document. Never its content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("{0}")]
    Index(String),
    #[error("{0}")]
    Id(String),
    #[error("the field `id_key` is missing, so there is no document to {0}")]
    NoId(&'static str),
    #[error("the record would become too large when it is made flat")]
    TooLargeFlat,
    #[error(transparent)]
    Unwritable(#[from] Unwritable),
    #[error("not an entry: {0}")]
    Malformed(#[from] Malformed),
}
