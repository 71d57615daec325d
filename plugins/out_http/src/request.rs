//! From a chunk to requests, and from their answers to the outcome of the chunk.

use std::{collections::HashMap, ops::Range};

use http_client::{Broken, Client};
use reqwest::header::{CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use sdk::{
    event::{RawEvent, Tag},
    output::{ChunkView, Failure, FailureKind, Frame, Outcome, Verdict},
};
use url::Url;

use crate::{
    identity::{self, Share},
    judge::{self, Fate},
    settings::Settings,
};

/// Where a record goes: address and headers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Place {
    url: String,
    headers: Vec<HeaderValue>,
}

/// A record in a request.
#[derive(Debug, Clone)]
struct Item {
    /// In the chunk.
    index: u32,
    frame: usize,
    /// In the frame.
    place: u32,
    /// In the text.
    range: Range<usize>,
}

/// Records of one place, in order.
#[derive(Debug, Default)]
struct Group {
    text: Vec<u8>,
    items: Vec<Item>,
}

/// What is known of the records so far.
#[derive(Debug, Default)]
struct Tally {
    delivered: usize,
    except: Vec<(u32, Verdict)>,
    /// Set when the server is gone, so that nothing more is tried.
    down: Option<Failure>,
}

/// Asks the host of the endpoint for its root, which delivers nothing. Any answer tells that it is there.
///
/// # Errors
/// There is none.
pub(crate) async fn reach(settings: &Settings, client: &Client) -> Result<String, Failure> {
    let http = client.get().await?;
    let mut root = Url::parse(settings.endpoint.literal_prefix())
        .map_err(|_| Failure::new(FailureKind::Serialize, "the endpoint is no address"))?;
    root.set_path("/");
    root.set_query(None);
    let asked = http.head(root.clone()).timeout(settings.timeout);
    match asked.send().await {
        Ok(answer) => Ok(format!("{root} answers {}", answer.status().as_u16())),
        Err(error) => Err(match judge::error(Broken::new(error, settings.timeout)) {
            Fate::Down(failure) | Fate::Reject(failure) | Fate::Retry(_, failure) => failure,
            Fate::Delivered | Fate::Split => Failure::new(FailureKind::Protocol, "no answer"),
        }),
    }
}

/// Sends the live records of a chunk.
pub(crate) async fn deliver(settings: &Settings, client: &Client, chunk: ChunkView<'_>) -> Outcome {
    let mut tally = Tally::default();
    let groups = gather(settings, chunk, &mut tally);
    let client = match client.get().await {
        Ok(client) => client,
        Err(failure) => return Outcome::DestinationDown(failure),
    };
    let sending = Sending {
        settings,
        client,
        chunk,
    };
    for (place, group) in groups {
        for items in cut(&group.items, chunk.frames, settings.body_bytes) {
            sending.send(&place, &group.text, items, &mut tally).await;
        }
    }
    tally.outcome()
}

/// Writes the records and puts them to their places, in the order in which places first come.
fn gather(settings: &Settings, chunk: ChunkView<'_>, tally: &mut Tally) -> Vec<(Place, Group)> {
    let mut groups: Vec<(Place, Group)> = Vec::new();
    let mut known: HashMap<Place, usize> = HashMap::new();
    let mut index = 0;
    for (position, frame) in chunk.frames.iter().enumerate() {
        let mut scribe = settings.layout.scribe(&frame.tag);
        let mut shared: Option<Result<Place, Failure>> = None;
        for (place_in_frame, event) in (0..frame.count).zip(frame.entries().map_while(Result::ok)) {
            let this = index + place_in_frame;
            if !chunk.is_live(this) {
                continue;
            }
            let place = match &shared {
                Some(place) => place.clone(),
                None => settings.place(&frame.tag, event),
            };
            if !settings.reads_events() {
                shared.get_or_insert_with(|| place.clone());
            }
            let written = place.and_then(|place| {
                let slot = *known.entry(place).or_insert_with_key(|place| {
                    groups.push((place.clone(), Group::default()));
                    groups.len() - 1
                });
                let Some((_, group)) = groups.get_mut(slot) else {
                    return Err(Failure::new(FailureKind::Serialize, "no place"));
                };
                let range = scribe.write(&event, &mut group.text)?;
                group.items.push(Item {
                    index: this,
                    frame: position,
                    place: place_in_frame,
                    range,
                });
                Ok(())
            });
            if let Err(failure) = written {
                tally.except.push((this, Verdict::Reject(failure)));
            }
        }
        index += frame.count;
    }
    groups
}

/// Cuts the records of a place into requests. Between frames where that is possible, so that the same frame makes the
/// same part of a request whatever it is grouped with.
fn cut<'a>(items: &'a [Item], frames: &[Frame], limit_bytes: usize) -> Vec<&'a [Item]> {
    let mut requests = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    let mut shares: Vec<Share> = Vec::new();
    let mut at = 0;
    for run in items.chunk_by(|one, other| one.frame == other.frame) {
        let run_bytes: usize = run.iter().map(|item| item.range.len() + 1).sum();
        if bytes > 0 && (bytes + run_bytes > limit_bytes || identity::is_full(&shares, frames)) {
            requests.extend(items.get(begin..at));
            (begin, bytes) = (at, 0);
            shares.clear();
        }
        for item in run {
            let more = item.range.len() + 1;
            if run_bytes > limit_bytes && bytes > 0 && bytes + more > limit_bytes {
                requests.extend(items.get(begin..at));
                (begin, bytes) = (at, 0);
                shares.clear();
            }
            bytes += more;
            at += 1;
        }
        shares.extend(run.first().map(|item| Share {
            frame: item.frame,
            places: Vec::new(),
        }));
    }
    requests.extend(items.get(begin..).filter(|rest| !rest.is_empty()));
    requests
}

/// What the requests of a chunk have in common.
struct Sending<'a> {
    settings: &'a Settings,
    client: reqwest::Client,
    chunk: ChunkView<'a>,
}

impl Sending<'_> {
    /// Sends records, in smaller requests when they are too many for the server.
    async fn send(&self, place: &Place, text: &[u8], items: &[Item], tally: &mut Tally) {
        let mut waiting = vec![items];
        while let Some(items) = waiting.pop() {
            if let Some(failure) = &tally.down {
                let failure = failure.clone();
                tally.all(items, &Verdict::Retry(None, failure));
                continue;
            }
            match self.send_one(place, text, items).await {
                Fate::Delivered => tally.delivered += items.len(),
                Fate::Split if items.len() > 1 => {
                    let (first, second) = items.split_at(items.len() / 2);
                    waiting.extend([second, first]);
                }
                Fate::Split => {
                    let message = "the server takes no record of this size (413)";
                    let failure = Failure::new(FailureKind::TooLarge, message);
                    tally.all(items, &Verdict::Reject(failure));
                }
                Fate::Retry(wait, failure) => tally.all(items, &Verdict::Retry(wait, failure)),
                Fate::Reject(failure) => tally.all(items, &Verdict::Reject(failure)),
                Fate::Down(failure) => {
                    tally.all(items, &Verdict::Retry(None, failure.clone()));
                    tally.down = Some(failure);
                }
            }
        }
    }

    async fn send_one(&self, place: &Place, text: &[u8], items: &[Item]) -> Fate {
        let settings = self.settings;
        let records = items.iter().filter_map(|item| text.get(item.range.clone()));
        let bytes = items.iter().map(|item| item.range.len() + 1).sum::<usize>() + 2;
        let body = settings.layout.format.join(records, bytes);
        let body = match settings.config.compress.pack(body).await {
            Ok(body) => body,
            Err(error) => {
                let message = format!("the body could not be compressed: {error}");
                return Fate::Retry(None, Failure::new(FailureKind::Io, message));
            }
        };
        let mut headers = settings.headers.clone();
        for ((name, _), value) in settings.placeholders.iter().zip(&place.headers) {
            headers.insert(name.clone(), value.clone());
        }
        if let Some(coding) = settings.config.compress.coding() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        if settings.config.chunk_id_header {
            self.name(items, &mut headers);
        }
        let request = self
            .client
            .request(settings.method.clone(), &place.url)
            .headers(headers)
            .timeout(settings.timeout)
            .body(body);
        match request.send().await {
            Ok(answer) => {
                let fate = judge::answer(answer.status(), answer.headers(), &settings.config);
                // A short body is read so that the connection can be used again.
                if answer.content_length().is_some_and(|length| length <= 4096) {
                    drop(answer.bytes().await);
                }
                fate
            }
            Err(error) => judge::error(Broken::new(error, settings.timeout)),
        }
    }

    fn name(&self, items: &[Item], headers: &mut HeaderMap) {
        let runs = items.chunk_by(|one, other| one.frame == other.frame);
        let shares: Vec<Share> = runs
            .filter_map(|run| {
                Some(Share {
                    frame: run.first()?.frame,
                    places: run.iter().map(|item| item.place).collect(),
                })
            })
            .collect();
        let names = identity::names(self.chunk.buffer, self.chunk.frames, &shares);
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        if let Some(chunk) = names.chunk {
            set("x-weir-chunk", chunk);
        }
        set("idempotency-key", format!("\"{}\"", names.key));
    }
}

impl Tally {
    fn all(&mut self, items: &[Item], verdict: &Verdict) {
        let verdicts = items.iter().map(|item| (item.index, verdict.clone()));
        self.except.extend(verdicts);
    }

    fn outcome(mut self) -> Outcome {
        let is_retry = |(_, verdict): &(u32, Verdict)| matches!(verdict, Verdict::Retry(..));
        if self.delivered == 0 && !self.except.is_empty() && self.except.iter().all(is_retry) {
            if let Some(failure) = self.down {
                return Outcome::DestinationDown(failure);
            }
            if let Some((_, Verdict::Retry(wait, failure))) = self.except.first() {
                return Outcome::RetryChunk(*wait, failure.clone());
            }
        }
        if self.except.is_empty() {
            return Outcome::Delivered;
        }
        self.except.sort_unstable_by_key(|(index, _)| *index);
        Outcome::Except(self.except)
    }
}

impl Settings {
    /// Whether records of one frame may have different places.
    fn reads_events(&self) -> bool {
        let reads = |template: &sdk::config::Template| template.reads_records();
        reads(&self.endpoint)
            || self.endpoint.reads_time()
            || self
                .placeholders
                .iter()
                .any(|(_, template)| reads(template))
    }

    /// Where a record goes.
    fn place(&self, tag: &Tag, event: RawEvent<'_>) -> Result<Place, Failure> {
        let failed = |message: &str| Failure::new(FailureKind::Serialize, message);
        let view = (tag, event);
        let mut address = String::new();
        let zone = sdk::config::Zone::UTC.get();
        self.endpoint
            .render_time(&view, &self.hostname, &zone, &mut address, confine);
        let url =
            Url::parse(&address).map_err(|_| failed("the address of the endpoint is none"))?;
        // Dots that make a way upwards are resolved there, so that what is left would tell.
        let base = &self.base;
        if url.origin() != base.origin()
            || !url.path().starts_with(base.path())
            || has_dots(&address)
        {
            return Err(failed(
                "a placeholder would lead out of its place in the endpoint",
            ));
        }
        let mut headers = Vec::with_capacity(self.placeholders.len());
        for (name, template) in &self.placeholders {
            let mut value = String::new();
            template.render(&view, &self.hostname, &mut value);
            let value = HeaderValue::from_str(&value);
            headers.push(value.map_err(|_| {
                failed(&format!(
                    "the value of the header {name} cannot stand in one"
                ))
            })?);
        }
        Ok(Place {
            url: url.into(),
            headers,
        })
    }
}

/// What is filled in is one part of a path: everything but letters, digits and `-._~` is encoded.
fn confine(value: &str, out: &mut String) {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const PART: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    out.extend(utf8_percent_encode(value, PART));
}

/// Whether a part of the path is `.` or `..`.
fn has_dots(address: &str) -> bool {
    let path = address.split(['?', '#']).next().unwrap_or_default();
    path.split('/').any(|part| matches!(part, "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(frame: usize, index: u32, len: usize) -> Item {
        Item {
            index,
            frame,
            place: index,
            range: 0..len,
        }
    }

    #[test]
    fn requests_end_between_frames_where_they_can() {
        let frames: Vec<Frame> = (0..3).map(|n| sdk::testing::frame(n, "a", &[])).collect();
        let items = [
            item(0, 0, 9),
            item(0, 1, 9),
            item(1, 2, 9),
            item(2, 3, 30),
            item(2, 4, 30),
        ];
        let sizes = |limit| -> Vec<usize> {
            cut(&items, &frames, limit)
                .iter()
                .map(|one| one.len())
                .collect()
        };
        assert_eq!(sizes(1_000), [5]);
        assert_eq!(sizes(30), [3, 1, 1]);
        assert_eq!(sizes(25), [2, 1, 1, 1]);
        assert_eq!(sizes(1), [1; 5]);
    }

    #[test]
    fn values_stay_in_their_part_of_the_path() {
        let mut out = String::new();
        confine("a/../b?c#d%", &mut out);
        assert_eq!(out, "a%2F..%2Fb%3Fc%23d%25");
        assert!(
            has_dots("http://h/a/../b")
                && has_dots("http://h/.")
                && !has_dots("http://h/a..b?/../")
        );
    }
}
