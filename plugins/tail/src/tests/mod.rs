//! The engine as a whole, over real files.

mod property;
mod rotation;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use sdk::{
    config::Zone,
    event::{Tag, Time, write_event},
    metrics::Metrics,
    msgpack::write,
    testing::records,
};
use tokio::time::Instant;

use crate::{Chunk, Counters, Decode, Engine, Events, Globs, Opened, Place, Places, Settings};

/// Each line is a record; lines that begin with `P ` are held until one comes that does not.
#[derive(Default)]
struct Plain;

#[derive(Default)]
struct Held {
    text: Vec<u8>,
    places: Places,
}

impl Decode for Plain {
    type Stream = Held;

    fn open(&mut self, path: &Path, _real: &Path) -> Option<Opened<Held>> {
        Some(Opened {
            tag: Tag::new(path.to_str()?),
            state: Held::default(),
        })
    }

    fn line(&mut self, held: &mut Held, line: &[u8], place: Place, out: &mut Events) {
        held.places.hold(place);
        if let Some(part) = line.strip_prefix(b"P ") {
            held.text.extend_from_slice(part);
            return;
        }
        held.text.extend_from_slice(line);
        self.flush(held, out);
    }

    fn flush(&mut self, held: &mut Held, out: &mut Events) {
        let mut record = Vec::new();
        write::map(&mut record, 1);
        write::str(&mut record, "m");
        write::str_bytes(&mut record, &held.text);
        write_event(&mut out.bytes, Time::from_secs(1), &record);
        out.count += 1;
        *held = Held::default();
    }

    fn held(&self, held: &Held, generation: u64) -> Option<u64> {
        held.places.in_generation(generation)
    }

    fn is_holding(&self, held: &Held) -> bool {
        !held.places.is_empty()
    }

    fn rewind(&mut self, held: &mut Held) {
        *held = Held::default();
    }
}

/// A folder with files, an engine over them, and what came out of it.
struct Bench {
    dir: tempfile::TempDir,
    engine: Option<Engine<Plain>>,
    counters: Arc<Counters>,
    now: Instant,
    adjust: fn(&mut Settings),
    lines: Vec<String>,
}

impl Bench {
    fn new(adjust: fn(&mut Settings)) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            engine: None,
            counters: Arc::new(Counters::new(&Metrics::new())),
            now: Instant::now(),
            adjust,
            lines: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name))
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    /// Compresses a file as rotation does: under another name, then moved into place.
    fn gzip(&self, name: &str) {
        let text = fs::read(self.path(name)).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&text).unwrap();
        let next = self.path(&format!("{name}.gz.tmp"));
        fs::write(&next, encoder.finish().unwrap()).unwrap();
        fs::rename(next, self.path(&format!("{name}.gz"))).unwrap();
        self.remove(name);
    }

    fn start(&mut self) {
        let root = self.dir.path().to_str().unwrap();
        let globs = Globs::new(vec![format!("{root}/*.log")], vec![], Zone::UTC).unwrap();
        let mut settings = Settings::new(globs, self.path("state"));
        settings.read_from_head = true;
        (self.adjust)(&mut settings);
        let mut engine = Engine::new(settings, Plain, Arc::clone(&self.counters));
        engine.load(self.now).unwrap();
        self.engine = Some(engine);
    }

    /// Ends as `kill -9` does: what was not written is forgotten.
    fn kill(&mut self) {
        self.engine = None;
    }

    fn store(&mut self) {
        let engine = self.engine.as_mut().unwrap();
        if let Some(text) = engine.take_positions() {
            engine.store_positions(&text).unwrap();
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// One pass; what it read, with receipts open.
    fn pass(&mut self) -> Vec<Chunk> {
        self.wait(Duration::from_millis(1_100));
        self.engine.as_mut().unwrap().pass(self.now).chunks
    }

    fn settle(&mut self, chunks: Vec<Chunk>, is_stored: bool) {
        for chunk in chunks {
            if is_stored {
                self.lines.extend(texts(&chunk));
            }
            let engine = self.engine.as_mut().unwrap();
            engine.settle(chunk.ticket, is_stored, self.now);
        }
    }

    /// Passes and stores until nothing comes any more; every line since the last call.
    fn drain(&mut self) -> Vec<String> {
        let mut quiet = 0;
        while quiet < 10 {
            let chunks = self.pass();
            quiet = if chunks.is_empty() { quiet + 1 } else { 0 };
            self.settle(chunks, true);
        }
        self.store();
        std::mem::take(&mut self.lines)
    }
}

fn texts(chunk: &Chunk) -> Vec<String> {
    records(&chunk.events)
        .iter()
        .map(|record| record["m"].as_str().unwrap().to_owned())
        .collect()
}
