//! What a Weir plugin sees.
//!
//! A plugin package depends on this crate and on nothing else of Weir. It exports one constant
//! [`plugin::Descriptor`], a `Config` struct whose doc comments are the manual, and an implementation
//! of one trait: [`input::Input`], [`filter::Filter`], [`stateful::StatefulFilter`], [`output::Output`],
//! [`parser::Parser`] or [`formatter::Formatter`].

pub mod budget;
pub mod clock;
pub mod config;
pub mod event;
pub mod filter;
pub mod formatter;
pub mod input;
pub mod json;
pub mod metrics;
pub mod monitor;
pub mod msgpack;
pub mod obligation;
pub mod output;
pub mod parser;
pub mod plugin;
pub mod sockets;
pub mod sparing;
pub mod stateful;
pub mod stop;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::{future::Future, pin::Pin};

/// A boxed future, made once per plugin life or once per chunk, never per record.
pub type Fut<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a component stopped by itself. The supervisor restarts it or ends the process, as configured.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A socket, file or other resource failed.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, with the address or path.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
    /// Anything else, in one sentence.
    #[error("{0}")]
    Other(String),
}
