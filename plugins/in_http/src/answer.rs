//! Answers: thanks, refusals with their reasons, and what pages are told.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_MAX_AGE,
        ACCESS_CONTROL_REQUEST_HEADERS, ALLOW, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
        VARY, WWW_AUTHENTICATE,
    },
};

use crate::{
    access::{Origins, Standing},
    body::BodyError,
    inflate::InflateError,
    service::Source,
};

/// The smallest GIF: one transparent dot.
const DOT: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
/// Why a request was not taken.
pub(crate) struct Refusal {
    status: StatusCode,
    /// From a closed list, when the records were at fault.
    reason: Option<&'static str>,
    text: String,
}

/// What a request is answered with.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A refusal for no fault of the records.
pub(crate) fn refuse(status: StatusCode, text: impl Into<String>) -> Refusal {
    Refusal {
        status,
        reason: None,
        text: text.into(),
    }
}

/// A refusal for the fault of the records; `reason` is from a closed list.
pub(crate) fn invalid(reason: &'static str, text: impl Into<String>) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        reason: Some(reason),
        text: text.into(),
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        let text = error.to_string();
        match error {
            BodyError::Large(_) | BodyError::Inflate(InflateError::Large(_)) => {
                refuse(StatusCode::PAYLOAD_TOO_LARGE, text)
            }
            BodyError::Slow(_) => refuse(StatusCode::REQUEST_TIMEOUT, text),
            BodyError::NoRoom => refuse(StatusCode::SERVICE_UNAVAILABLE, text),
            BodyError::CutOff => refuse(StatusCode::BAD_REQUEST, text),
            BodyError::Inflate(InflateError::Ratio(_)) => Self {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                ..invalid("ratio", text)
            },
            BodyError::Inflate(_) => invalid("damaged", text),
            BodyError::Panic => refuse(StatusCode::INTERNAL_SERVER_ERROR, text),
        }
    }
}

impl Source {
    /// Everything is stored.
    pub(crate) fn thanks(&self) -> Answer {
        let config = &self.settings.config;
        let mut answer = Response::new(Full::default());
        if config.respond_with_empty_img {
            *answer.body_mut() = Full::from(DOT);
            set(answer.headers_mut(), CONTENT_TYPE, "image/gif");
        } else if config.use_204_response {
            *answer.status_mut() = StatusCode::NO_CONTENT;
        }
        answer
    }

    /// Nothing is stored, for this reason.
    pub(crate) fn refusal(&self, refusal: &Refusal, peer: SocketAddr) -> Answer {
        let Refusal {
            status,
            reason,
            text,
        } = refusal;
        if let Some(reason) = reason {
            self.report.invalid(reason);
        }
        if self.settings.config.dump_error_log {
            let said = reason.unwrap_or(match status.as_u16() {
                401 | 403 => "not_allowed",
                503 => "not_stored",
                _ => "request",
            });
            let line = format!("answered with {}: {text}", status.as_u16());
            self.report.warn(said, &peer, &line);
        }
        let mut answer = Response::new(Full::from(format!("{status}\n{text}\n")));
        *answer.status_mut() = *status;
        let headers = answer.headers_mut();
        set(headers, CONTENT_TYPE, "text/plain; charset=utf-8");
        match *status {
            StatusCode::SERVICE_UNAVAILABLE => {
                let secs = self.settings.config.retry_after.0.as_secs_f64().ceil();
                set(headers, RETRY_AFTER, &format!("{secs:.0}"));
            }
            StatusCode::UNAUTHORIZED => {
                if let Some(doors) = &self.settings.doors {
                    set(headers, WWW_AUTHENTICATE, doors.challenge());
                }
            }
            StatusCode::METHOD_NOT_ALLOWED => set(headers, ALLOW, "POST, PUT, GET, HEAD, OPTIONS"),
            _ => {}
        }
        answer
    }

    /// Tells a page that it may send.
    pub(crate) fn allow(&self, headers: &mut HeaderMap, origin: &str) {
        set(headers, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        set(headers, VARY, "Origin");
        let origins = self.settings.origins.as_ref();
        if origins.is_some_and(Origins::credentials) {
            set(headers, ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
        }
    }
}

/// The answer to a page that asks whether it may send.
pub(crate) fn preflight(headers: &HeaderMap, standing: &Standing) -> Answer {
    let mut answer = Response::new(Full::default());
    let Standing::Allowed(_) = standing else {
        *answer.status_mut() = StatusCode::FORBIDDEN;
        return answer;
    };
    let out = answer.headers_mut();
    set(out, ACCESS_CONTROL_ALLOW_METHODS, "POST, PUT, GET");
    set(out, ACCESS_CONTROL_MAX_AGE, "600");
    if let Some(asked) = headers.get(ACCESS_CONTROL_REQUEST_HEADERS) {
        out.insert(ACCESS_CONTROL_ALLOW_HEADERS, asked.clone());
    }
    answer
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
