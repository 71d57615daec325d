//! The Weir engine: what stands between input and output plugins. Nothing here knows a concrete plugin,
//! except `plugins`, the list.
//!
//! The folders show the data path. Imports point downwards only:
//! cli -> admin -> runtime -> pipeline -> { output -> buffer, router } -> config -> telemetry -> sdk.

pub mod admin;
pub mod buffer;
pub mod cat;
pub mod cli;
pub mod config;
pub mod output;
pub mod pipeline;
pub mod plugins;
pub mod router;
pub mod runtime;
pub mod telemetry;
