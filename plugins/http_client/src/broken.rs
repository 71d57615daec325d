//! Requests that failed: why, and whether the server may have got them.

use std::{error::Error, io, time::Duration};

use sdk::output::{Failure, FailureKind};
use tokio_rustls::rustls;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The innermost cause, without the address.
    pub failure: Failure,
    /// Whether the server may have got the request, and carried it out.
    pub is_sent: bool,
}

impl From<Failure> for Broken {
    /// Of what happens before anything is sent.
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            is_sent: false,
        }
    }
}

impl Broken {
    /// Of a request that had this time for its answer.
    pub fn new(error: reqwest::Error, timeout: Duration) -> Self {
        let error = error.without_url();
        let is_late = error.is_timeout();
        let kind = if error.is_builder() {
            FailureKind::Serialize
        } else if is_late && !error.is_connect() {
            FailureKind::Timeout
        } else if causes(&error).any(is_about_tls) {
            FailureKind::Tls
        } else if error.is_connect() || causes(&error).any(is_about_the_connection) {
            FailureKind::Connect
        } else {
            FailureKind::Protocol
        };
        let message = match causes(&error).last() {
            _ if is_late && error.is_connect() => "no connection in time".to_owned(),
            _ if is_late => format!("no answer within {} s", timeout.as_secs_f64()),
            Some(innermost) => innermost.to_string(),
            None => error.to_string(),
        };
        Self {
            failure: Failure::new(kind, message),
            is_sent: !error.is_connect() && !error.is_builder(),
        }
    }
}

/// What is behind an error, the innermost last.
fn causes(error: &dyn Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(error.source(), |cause| (*cause).source())
}

/// Errors of rustls are wrapped in those of I/O, once or twice, which give the causes of what is in them as their own.
fn is_about_tls(cause: &(dyn Error + 'static)) -> bool {
    let mut inner = cause;
    while let Some(next) = inner.downcast_ref().and_then(io::Error::get_ref) {
        inner = next;
    }
    inner.is::<rustls::Error>()
}

/// Whether a connection ended, rather than that something else than HTTP came out of it.
fn is_about_the_connection(cause: &(dyn Error + 'static)) -> bool {
    let is_early = |error: &hyper::Error| error.is_incomplete_message() || error.is_closed();
    cause.is::<io::Error>() || cause.downcast_ref().is_some_and(is_early)
}
