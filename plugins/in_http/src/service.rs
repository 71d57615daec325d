//! One request: who sends, what it holds, and storing it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::Incoming,
    header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue},
};
use percent_encoding::percent_decode_str;
use sdk::{event::Tag, input::InputCx};
use tokio::time::timeout;

use crate::{
    access::Standing,
    answer::{self, Answer, Refusal, invalid, refuse},
    body::{self, BodyError, Limits, Room, SMALL_BYTES},
    chunk::Chunks,
    content::{self, Content},
    form::Pairs,
    inflate::codings,
    intake::{self, Recognition},
    records::{Records, Shape, time_in},
    report::Report,
    settings::Settings,
};

/// Headers that never get into a record.
const PRIVATE: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// What the connections of one source have in common.
pub(crate) struct Source {
    pub(crate) settings: Settings,
    pub(crate) cx: InputCx,
    pub(crate) report: Arc<Report>,
}

impl Source {
    /// Answers a request.
    pub(crate) async fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        let standing = match &self.settings.origins {
            None => Standing::NoPage,
            Some(origins) => origins.judge(request.headers()),
        };
        let mut answer = self.judge(request, peer, &standing).await;
        if let Standing::Allowed(origin) = standing {
            self.allow(answer.headers_mut(), &origin);
        }
        self.report.answered(answer.status().as_u16());
        answer
    }

    async fn judge(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        standing: &Standing,
    ) -> Answer {
        let config = &self.settings.config;
        let is_look = matches!(*request.method(), Method::GET | Method::HEAD);
        if is_look && request.uri().path() == config.health_path {
            return Response::new("ok\n".into());
        }
        let taken = match standing {
            Standing::Refused => Err(refuse(
                StatusCode::FORBIDDEN,
                "this origin may not send: add it to cors_allow_origins",
            )),
            _ if request.method() == Method::OPTIONS => {
                return answer::preflight(request.headers(), standing);
            }
            _ => self.take(request, peer).await,
        };
        match taken {
            Ok(()) => self.thanks(),
            Err(refusal) => self.refusal(&refusal, peer),
        }
    }

    /// Takes in, reads and stores the records of a request.
    async fn take(&self, request: Request<Incoming>, peer: SocketAddr) -> Result<(), Refusal> {
        let settings = &self.settings;
        let (parts, incoming) = request.into_parts();
        if let Some(doors) = &settings.doors
            && !doors.open_for(&parts.headers)
        {
            return Err(refuse(
                StatusCode::UNAUTHORIZED,
                "a user or a token of [source.auth] is needed",
            ));
        }
        let by_query = matches!(parts.method, Method::GET | Method::HEAD);
        if !by_query && !matches!(parts.method, Method::POST | Method::PUT) {
            return Err(refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "send records with POST",
            ));
        }
        let tag = self.tag(parts.uri.path())?;
        let query = Pairs::read(parts.uri.query().unwrap_or_default().as_bytes());
        let query = query.map_err(|text| invalid("query", text))?;
        let chunks = Chunks::read(&parts.headers).map_err(|text| invalid("chunk_id", text))?;
        let shape = self.shape(&parts.headers, &query, peer)?;
        let mut room = Room::new(self.cx.budget.clone(), settings.config.blocking_timeout.0);
        let mut records = Records::new(shape);
        if by_query {
            let read = content::fields(&query, &mut records);
            read.map_err(|text| invalid("content", text))?;
        } else {
            let content = self.content(&parts.headers)?;
            let codings = match parts.headers.get(CONTENT_ENCODING).map(HeaderValue::to_str) {
                None => Vec::new(),
                Some(header) => codings(header.unwrap_or("?")).map_err(|what| {
                    let text = format!("the Content-Encoding {what}");
                    refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
                })?,
            };
            let limits = Limits {
                bytes: settings.body_bytes,
                ratio: settings.config.decompression_ratio_limit,
                timeout: settings.config.body_timeout.0,
            };
            let body = body::read(incoming, limits, &mut room).await?;
            let body = body::inflate(body, &codings, limits, &mut room).await?;
            room.cover(body.len().saturating_mul(2)).await?;
            records = read(content, body, records).await?;
        }
        self.store(&tag, records, chunks, room).await
    }

    async fn store(
        &self,
        tag: &Tag,
        records: Records,
        chunks: Option<Chunks>,
        room: Room,
    ) -> Result<(), Refusal> {
        let count = records.ends.len();
        let cut = chunks.map(|chunks| chunks.cut(count)).transpose();
        let cut = cut.map_err(|text| invalid("chunk_id", text))?;
        if count == 0 {
            return Ok(());
        }
        let cut = cut.unwrap_or_default();
        let recognition = Recognition {
            identifies: self.settings.identifies,
            window: self.settings.duplicate_window,
        };
        let permit = room.hand_on().map(Arc::new);
        let storing = async {
            let emitted = intake::emit(&self.cx, tag, records, &cut, recognition, permit);
            let receipt = Box::pin(emitted).await.map_err(|error| error.to_string())?;
            receipt.await.map_err(|error| error.to_string())
        };
        let patience = self.settings.config.blocking_timeout.0;
        let stored = timeout(patience, storing).await.unwrap_or_else(|_| {
            let secs = patience.as_secs_f64();
            Err(format!("the records were not stored within {secs} s"))
        });
        stored.map_err(|text| refuse(StatusCode::SERVICE_UNAVAILABLE, text))
    }

    /// The tag that a path makes.
    fn tag(&self, path: &str) -> Result<Tag, Refusal> {
        let config = &self.settings.config;
        let named = if let Some(tag) = &config.tag {
            tag.clone()
        } else {
            let decoded = percent_decode_str(path).decode_utf8_lossy();
            let parts = decoded.split('/').filter(|part| !part.is_empty());
            parts.collect::<Vec<_>>().join(".")
        };
        let tag = match &config.add_tag_prefix {
            Some(prefix) if named.is_empty() => prefix.clone(),
            Some(prefix) => format!("{prefix}.{named}"),
            None => named,
        };
        if tag.is_empty() {
            let text = "the path names no tag: send to /app.access for the tag app.access";
            return Err(invalid("no_tag", text));
        }
        Tag::from_wire(tag.as_bytes()).ok_or_else(|| invalid("tag", "the tag is too long"))
    }

    fn content(&self, headers: &HeaderMap) -> Result<Content, Refusal> {
        if let Some(parser) = &self.settings.parser {
            return Ok(Content::Lines(Arc::clone(parser)));
        }
        let unknown = |what: &str| {
            let remedy = "send application/json, application/x-ndjson, application/msgpack or a form, or name a parser in [source.parse]";
            refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!("{what}; {remedy}"),
            )
        };
        let Some(kind) = headers.get(CONTENT_TYPE) else {
            return Err(unknown("there is no Content-Type"));
        };
        let kind = kind.to_str().unwrap_or_default();
        Content::of(kind).ok_or_else(|| unknown("the Content-Type is not known"))
    }

    fn shape(
        &self,
        headers: &HeaderMap,
        query: &Pairs,
        peer: SocketAddr,
    ) -> Result<Shape, Refusal> {
        let config = &self.settings.config;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut extras: Vec<(String, String)> = Vec::new();
        let mut add = |name: String, value: String| {
            if let Some((_, known)) = extras.iter_mut().find(|(known, _)| *known == name) {
                *known = value;
            } else {
                extras.push((name, value));
            }
        };
        if config.add_http_headers {
            for (name, value) in headers
                .iter()
                .filter(|(name, _)| !PRIVATE.contains(&name.as_str()))
            {
                add(
                    format!("HTTP_{}", capitals(name.as_str())),
                    text(value.as_bytes()),
                );
            }
        }
        if config.add_query_params {
            for (name, value) in query.iter() {
                add(format!("QUERY_{}", capitals(name)), text(value));
            }
        }
        if config.add_remote_addr {
            add("REMOTE_ADDR".into(), remote(headers, peer));
        }
        let fixed = match query.get("time") {
            None => None,
            Some(value) => {
                let time = std::str::from_utf8(value).ok().and_then(time_in);
                let text = "the parameter time is neither a number of seconds nor as in RFC 3339";
                Some(time.ok_or_else(|| invalid("time", text))?)
            }
        };
        Ok(Shape {
            now: self.cx.clock.now(),
            fixed,
            time_key: Arc::new(self.settings.time_key.clone()),
            keep_time_key: config.keep_time_key,
            extras,
        })
    }
}

/// Reads the records, on a thread of its own when there are many.
async fn read(content: Content, body: Bytes, mut records: Records) -> Result<Records, Refusal> {
    let is_small = body.len() <= SMALL_BYTES;
    let work = move || {
        let read = content.read(&body, &mut records);
        read.map(|()| records)
    };
    let read = if is_small {
        work()
    } else {
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| BodyError::Panic)?
    };
    read.map_err(|text| invalid("content", text))
}

fn capitals(name: &str) -> String {
    name.replace('-', "_").to_ascii_uppercase()
}

/// The first address of `X-Forwarded-For`, or the other side of the connection.
fn remote(headers: &HeaderMap, peer: SocketAddr) -> String {
    let forwarded = headers
        .get("x-forwarded-for")
        .and_then(|value| value.to_str().ok());
    let first = forwarded
        .and_then(|list| list.split(',').next())
        .map(str::trim);
    match first {
        Some(first) if !first.is_empty() => first.to_owned(),
        _ => peer.ip().to_canonical().to_string(),
    }
}

/// How long a TLS handshake may take.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
