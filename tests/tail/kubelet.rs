//! A node's containers and its kubelet: lines in CRI format, files that are moved away, compressed and removed; and what
//! was written.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use flate2::{Compression, write::GzEncoder};

/// Every so many records one comes in two parts.
const PARTS_EVERY: u64 = 10;
/// A turn of the writer.
const TURN: Duration = Duration::from_millis(20);

/// How much is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) containers: u64,
    /// Bytes of all containers in a second.
    pub(crate) bytes_per_second: u64,
    /// Bytes at which a file is moved away.
    pub(crate) file_bytes: u64,
    /// Files that are kept, the live one included.
    pub(crate) files: usize,
    /// Bytes of a line, without what the runtime puts before it.
    pub(crate) line_bytes: usize,
    /// Move files away between two parts of a record, too.
    pub(crate) splits_records: bool,
}

/// One container.
struct Container {
    folder: PathBuf,
    file: File,
    size: u64,
    rotated: Vec<PathBuf>,
    rotations: u64,
    /// The number of the next record.
    next: u64,
    half: bool,
}

/// The running writer. Ends when dropped.
pub(crate) struct Kubelet {
    ends: Arc<AtomicBool>,
    written: Arc<Mutex<Vec<u64>>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Kubelet {
    /// Writes below `pods` until it is ended.
    pub(crate) fn start(pods: &Path, load: Load) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let written = Arc::new(Mutex::new(vec![
            0;
            usize::try_from(load.containers)
                .expect("few")
        ]));
        let mut containers: Vec<_> = (0..load.containers)
            .map(|number| Container::new(pods, number))
            .collect();
        let (own_ends, own_written) = (Arc::clone(&ends), Arc::clone(&written));
        let thread = thread::spawn(move || {
            let began = Instant::now();
            let mut total = 0;
            while !own_ends.load(Ordering::Relaxed) {
                let due = load.bytes_per_second as f64 * began.elapsed().as_secs_f64();
                // What was missed is not made up for at once.
                total = total.max(due as u64 - (due as u64).min(load.bytes_per_second / 5));
                let share = due as u64 - total.min(due as u64);
                for container in &mut containers {
                    total += container.write(&load, share / load.containers);
                }
                for (next, container) in own_written
                    .lock()
                    .expect("counts")
                    .iter_mut()
                    .zip(&containers)
                {
                    *next = container.next;
                }
                thread::sleep(TURN);
            }
            for (next, container) in own_written
                .lock()
                .expect("counts")
                .iter_mut()
                .zip(&mut containers)
            {
                container.finish(&load);
                *next = container.next;
            }
        });
        Self {
            ends,
            written,
            thread: Some(thread),
        }
    }

    /// Records of all containers so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.lock().expect("counts").iter().sum()
    }

    /// Ends; the number of records of each container.
    pub(crate) fn finish(mut self) -> Vec<u64> {
        self.end();
        self.written.lock().expect("counts").clone()
    }

    fn end(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the writer ends well");
        }
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.end();
        }
    }
}

/// What a record holds behind its number.
fn filling(load_bytes: usize) -> String {
    "x".repeat(load_bytes.saturating_sub(20))
}

/// The bytes that a record takes in its file.
pub(crate) fn bytes_of(number: u64, load: &Load) -> u64 {
    let head = "2026-01-01T00:00:00.000000000Z stdout F ".len() + 1;
    let text = format!("n={number:016} {}", filling(load.line_bytes)).len();
    let parts = 1 + usize::from(number.is_multiple_of(PARTS_EVERY));
    (head * parts + text) as u64
}

/// The bytes of its second part.
pub(crate) fn rest_bytes_of(number: u64, load: &Load) -> u64 {
    let head = "2026-01-01T00:00:00.000000000Z stdout F n=0000000000000000 \n".len() as u64;
    bytes_of(number, load) - head
}

impl Container {
    fn new(pods: &Path, number: u64) -> Self {
        let folder = pods.join(format!("shop_pod-{number}_uid-{number}/app"));
        fs::create_dir_all(&folder).expect("a folder");
        Self {
            file: create(&folder),
            folder,
            size: 0,
            rotated: Vec::new(),
            rotations: 0,
            next: 0,
            half: false,
        }
    }

    /// Writes at least this many bytes of whole lines, as one write; how many they are. Ends early when the file is full.
    fn write(&mut self, load: &Load, bytes: u64) -> u64 {
        let (clock, filling) = (timestamp(), filling(load.line_bytes));
        let mut text = String::new();
        let room = load.file_bytes - self.size;
        while (text.len() as u64) < bytes.min(room) || self.half && !load.splits_records {
            self.line(&mut text, &clock, &filling);
        }
        self.file
            .write_all(text.as_bytes())
            .expect("the disk has room");
        self.size += text.len() as u64;
        if self.size >= load.file_bytes {
            self.rotate(load);
        }
        text.len() as u64
    }

    /// Adds a record, or the half of one.
    fn line(&mut self, text: &mut String, clock: &str, filling: &str) {
        let number = self.next;
        let stream = if number.is_multiple_of(7) {
            "stderr"
        } else {
            "stdout"
        };
        let in_parts = number.is_multiple_of(PARTS_EVERY);
        let line = match (in_parts, self.half) {
            (true, false) => writeln!(text, "{clock} {stream} P n={number:016} "),
            (true, true) => writeln!(text, "{clock} {stream} F {filling}"),
            (false, _) => writeln!(text, "{clock} {stream} F n={number:016} {filling}"),
        };
        line.expect("a string has room");
        self.half = in_parts && !self.half;
        self.next += u64::from(!self.half);
    }

    fn finish(&mut self, load: &Load) {
        let whole = Load {
            splits_records: false,
            ..*load
        };
        self.write(&whole, 0);
    }

    /// As the kubelet does: compress what was moved away before, remove the oldest, move the live one away.
    fn rotate(&mut self, load: &Load) {
        if let Some(last) = self.rotated.last_mut()
            && last.extension().is_none_or(|end| end != "gz")
        {
            *last = compress(last);
        }
        while self.rotated.len() + 2 > load.files {
            fs::remove_file(self.rotated.remove(0)).expect("it is there");
        }
        self.rotations += 1;
        let to = self
            .folder
            .join(format!("0.log.20260101-{:06}", self.rotations));
        fs::rename(self.folder.join("0.log"), &to).expect("it is there");
        self.rotated.push(to);
        self.file = create(&self.folder);
        self.size = 0;
    }
}

fn create(folder: &Path) -> File {
    let path = folder.join("0.log");
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.expect("a file")
}

fn compress(path: &Path) -> PathBuf {
    let named = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let (next, to) = (named(".tmp"), named(".gz"));
    let text = fs::read(path).expect("it is there");
    let mut encoder = GzEncoder::new(File::create(&next).expect("a file"), Compression::fast());
    encoder.write_all(&text).expect("the disk has room");
    encoder.finish().expect("the disk has room");
    fs::rename(next, &to).expect("it is there");
    fs::remove_file(path).expect("it is there");
    to
}

/// Now, in RFC 3339 with nanoseconds.
fn timestamp() -> String {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    let secs = since.as_secs();
    let (days, second) = (secs / 86_400, secs % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let nanos = since.subsec_nanos();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
}

/// The date of a day since 1970.
fn date(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[test]
fn days_have_their_dates() {
    for (day, expected) in [
        (0, (1970, 1, 1)),
        (59, (1970, 3, 1)),
        (11_016, (2000, 2, 29)),
        (20_453, (2025, 12, 31)),
    ] {
        assert_eq!(date(day), expected);
    }
}
