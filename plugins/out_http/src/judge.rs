//! What an answer means for the records of its request.

use std::time::{Duration, SystemTime};

use http_client::Broken;
use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};
use sdk::output::{Failure, FailureKind};

use crate::Config;

/// The longest wait that a server may ask for.
const WAIT_MAX: Duration = Duration::from_hours(1);

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrived.
    Delivered,
    /// It is too large.
    Split,
    /// Try it again, not before the given time.
    Retry(Option<Duration>, Failure),
    /// It will never be taken.
    Reject(Failure),
    /// There is no answer, because nobody is there.
    Down(Failure),
}

/// Judges an answer by its status.
pub(crate) fn answer(status: StatusCode, headers: &HeaderMap, config: &Config) -> Fate {
    let code = status.as_u16();
    let failure = |kind| Failure::new(kind, format!("the server answered with {status}"));
    if status.is_success() {
        return Fate::Delivered;
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Fate::Split;
    }
    let kind = match code {
        401 | 403 | 407 => FailureKind::Auth,
        429 => FailureKind::Http429,
        400..=499 => FailureKind::Http4xx,
        500.. => FailureKind::Http5xx,
        _ => FailureKind::Protocol,
    };
    if config.retryable_response_codes.contains(&code) {
        return Fate::Retry(retry_after(headers), failure(kind));
    }
    // An operator can mend these, and then every record is welcome.
    if kind == FailureKind::Auth || !config.error_response_as_unrecoverable {
        return Fate::Retry(retry_after(headers), failure(kind));
    }
    Fate::Reject(failure(kind))
}

/// Judges a request without an answer.
pub(crate) fn error(broken: Broken) -> Fate {
    let Broken { failure, is_sent } = broken;
    match failure.kind {
        FailureKind::Serialize => Fate::Reject(failure),
        _ if is_sent => Fate::Retry(None, failure),
        _ => Fate::Down(failure),
    }
}

/// Seconds, or a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if let Ok(secs) = text.parse::<u64>() {
        Duration::from_secs(secs)
    } else {
        let date = httpdate::parse_http_date(text).ok()?;
        date.duration_since(SystemTime::now()).unwrap_or_default()
    };
    Some(wait.min(WAIT_MAX))
}
