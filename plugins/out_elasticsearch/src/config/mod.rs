//! The parameters, and what they come to.

pub(crate) mod choices;
pub(crate) mod fluentd;
mod parameters;
pub(crate) mod policy;
pub(crate) mod settings;
pub(crate) mod ssl;

pub use crate::{
    document::timing::Timing,
    hosts::sniff::{Selector, Sniffing},
    http::aws::{Endpoint, Service},
};
pub use choices::{Compression, ContentType, DocumentId, Dots, Level, OpType, Scheme};
pub use fluentd::Fluentd;
pub use parameters::Config;
pub use ssl::{Ssl, SslVersion};
