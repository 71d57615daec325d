//! A receiver of the forward protocol that looks at the numbers of the records as they come, for each tag.

use std::{
    collections::BTreeMap,
    io::{BufReader, Write as _},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use rmpv::Value;

use crate::harness::{forward::encode, listening::listen};

/// What came of one container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The number that comes next when nothing is missing.
    pub(crate) next: u64,
    /// Ranges that did not come when they should have.
    pub(crate) gaps: Vec<(u64, u64)>,
    /// Records that came again.
    pub(crate) repeated: u64,
    /// Records that came after later ones.
    pub(crate) disordered: u64,
    /// Records in two parts of which only the first came.
    pub(crate) halves: Vec<u64>,
}

/// What came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arrived {
    pub(crate) containers: BTreeMap<String, Seen>,
    pub(crate) records: u64,
    /// How many records came so many milliseconds after they were written, up to a limit.
    pub(crate) lags_ms: Vec<u64>,
    /// Records that are not as they were written.
    pub(crate) broken: u64,
}

/// Lags are counted up to this.
const LAG_MS_MAX: usize = 60_000;

/// The running receiver. Its threads end with the process.
pub(crate) struct Aggregator {
    pub(crate) port: u16,
    arrived: Arc<Mutex<Arrived>>,
    is_open: Arc<AtomicBool>,
}

impl Aggregator {
    /// Takes messages, or leaves them until it is opened.
    pub(crate) fn start(is_open: bool) -> Self {
        let arrived = Arc::new(Mutex::new(Arrived {
            lags_ms: vec![0; LAG_MS_MAX + 1],
            ..Arrived::default()
        }));
        let is_open = Arc::new(AtomicBool::new(is_open));
        let (own, opened) = (Arc::clone(&arrived), Arc::clone(&is_open));
        let address = listen(move |stream| receive(stream, &own, &opened));
        Self {
            port: address.port(),
            arrived,
            is_open,
        }
    }

    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::Relaxed);
    }

    pub(crate) fn records(&self) -> u64 {
        self.arrived.lock().expect("what came").records
    }

    /// The numbers that come next, of all containers together.
    pub(crate) fn reached(&self) -> u64 {
        let arrived = self.arrived.lock().expect("what came");
        arrived.containers.values().map(|seen| seen.next).sum()
    }

    pub(crate) fn arrived(&self) -> Arrived {
        self.arrived.lock().expect("what came").clone()
    }
}

impl Arrived {
    /// The lag that this share of the records does not exceed.
    pub(crate) fn lag_ms(&self, share: f64) -> usize {
        let goal = (self.lags_ms.iter().sum::<u64>() as f64 * share) as u64;
        let mut sum = 0;
        let over = self.lags_ms.iter().position(|count| {
            sum += count;
            sum >= goal
        });
        over.unwrap_or(LAG_MS_MAX)
    }

    fn take(&mut self, tag: &str, events: &[u8]) {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .expect("after 1970");
        if !self.containers.contains_key(tag) {
            self.containers.insert(tag.to_owned(), Seen::default());
        }
        let seen = self.containers.get_mut(tag).expect("it was added");
        let mut rest = events;
        while !rest.is_empty() {
            let entry = rmpv::decode::read_value_ref(&mut rest).expect("an entry");
            self.records += 1;
            let Some((time, number, is_whole)) = parts(&entry) else {
                self.broken += 1;
                continue;
            };
            if !is_whole {
                seen.halves.push(number);
            }
            let lag = usize::try_from(now.saturating_sub(time).as_millis()).unwrap_or(LAG_MS_MAX);
            self.lags_ms[lag.min(LAG_MS_MAX)] += 1;
            seen.take(number);
        }
    }
}

impl Seen {
    fn take(&mut self, number: u64) {
        if number >= self.next {
            if number > self.next {
                self.gaps.push((self.next, number));
            }
            self.next = number + 1;
        } else if self
            .gaps
            .iter()
            .any(|(from, to)| (*from..*to).contains(&number))
        {
            self.disordered += 1;
        } else {
            self.repeated += 1;
        }
    }
}

/// Time and number of an entry `[time, { "log": "n=NUMBER xxx", ... }]`, and whether it is more than the number.
fn parts(entry: &rmpv::ValueRef<'_>) -> Option<(Duration, u64, bool)> {
    use rmpv::ValueRef::{Array, Ext, Map};
    let Array(items) = entry else { return None };
    let [Ext(0, time), Map(pairs)] = items.as_slice() else {
        return None;
    };
    let (secs, nanos) = time.split_at_checked(4)?;
    let secs = u32::from_be_bytes(secs.try_into().ok()?);
    let nanos = u32::from_be_bytes(nanos.try_into().ok()?);
    let log = pairs.iter().find_map(|(key, value)| {
        let rmpv::ValueRef::String(key) = key else {
            return None;
        };
        let rmpv::ValueRef::String(value) = value else {
            return None;
        };
        (key.as_str() == Some("log")).then(|| value.as_str())?
    })?;
    let (number, filling) = log.strip_prefix("n=")?.split_once(' ')?;
    let is_clean = filling.bytes().all(|byte| byte == b'x');
    let time = Duration::new(secs.into(), nanos);
    is_clean.then_some((time, number.parse().ok()?, !filling.is_empty()))
}

/// Reads messages until the connection ends.
fn receive(stream: &TcpStream, arrived: &Mutex<Arrived>, is_open: &AtomicBool) {
    let mut reader = BufReader::with_capacity(1 << 20, stream);
    loop {
        while !is_open.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        let Ok(Value::Array(items)) = rmpv::decode::read_value(&mut reader) else {
            return;
        };
        let [tag, entries, options] = items.as_slice() else {
            return;
        };
        let tag = tag.as_str().expect("a tag");
        let entries = entries.as_slice().expect("packed entries");
        arrived.lock().expect("what came").take(tag, entries);
        let chunk = options["chunk"].clone();
        if !chunk.is_nil() {
            let ack = encode(&Value::Map(vec![("ack".into(), chunk)]));
            let mut stream = stream;
            if stream.write_all(&ack).is_err() {
                return;
            }
        }
    }
}
