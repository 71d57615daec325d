//! What a process notes about its life in `data_dir`, so that the next one knows how it ended: `boot.json`.
//!
//! A process that ends without having said so has crashed, or was killed. After three such ends within five minutes the
//! next one is careful (`caution.rs`). The file is a hint: without it, nothing is lost but this.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sdk::event::Time;
use serde::{Deserialize, Serialize};

const FILE_NAME: &str = "boot.json";
/// So many unclean ends are a crash loop,
const LOOP_ENDS: usize = 3;
/// when their starts are not older than this, in seconds.
const LOOP_SECS: i64 = 5 * 60;

/// The notes of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Boot(Arc<State>);

#[derive(Debug)]
struct State {
    path: PathBuf,
    note: Mutex<Note>,
    /// The output that was being started when the process before ended.
    suspect: Option<String>,
}

/// The content of the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Note {
    /// When the process was started, in seconds since 1970.
    started: i64,
    /// It ended as it should.
    clean: bool,
    /// When those before it were started that did not, the oldest first.
    unclean: Vec<i64>,
    /// The output that is being started after a crash loop.
    output: Option<String>,
}

impl Boot {
    /// Reads how the process before ended, and notes that this one has begun. Blocking.
    pub(super) fn begin(data_dir: &Path, now: Time) -> Self {
        let path = data_dir.join(FILE_NAME);
        let before = read(&path);
        let (note, suspect) = next(before, now.secs);
        let boot = Self(Arc::new(State {
            path,
            note: Mutex::new(note),
            suspect,
        }));
        boot.write();
        boot
    }

    /// Whether one process after the other has crashed.
    pub(super) fn is_crash_loop(&self) -> bool {
        self.note().unclean.len() >= LOOP_ENDS
    }

    /// The output that was being started when the process before ended.
    pub(super) fn suspect(&self) -> Option<&str> {
        self.0.suspect.as_deref()
    }

    /// This output is being started, or none is any more. Blocking.
    pub(super) fn starting(&self, output: Option<&str>) {
        self.note().output = output.map(str::to_owned);
        self.write();
    }

    /// It has run for long enough: what was before is forgotten. Blocking.
    pub(super) fn settled(&self) {
        let mut note = self.note();
        (note.unclean, note.output) = (Vec::new(), None);
        drop(note);
        self.write();
    }

    /// Everything is on disk, and the process ends. Blocking.
    pub(super) fn clean(&self) {
        self.note().clean = true;
        self.write();
    }

    fn note(&self) -> MutexGuard<'_, Note> {
        self.0.note.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) {
        let note = self.note().clone();
        if let Err(error) = write(&self.0.path, &note) {
            let path = self.0.path.display();
            tracing::warn!(%path, %error, "cannot note how this process ends; a crash loop would not be noticed");
        }
    }
}

/// What stands in the file; nothing when it is missing, damaged or of another kind.
fn read(path: &Path) -> Option<Note> {
    let text = fs::read(path).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The note of a process that begins at `now`, and the output that may be to blame.
fn next(before: Option<Note>, now: i64) -> (Note, Option<String>) {
    let mut note = Note {
        started: now,
        ..Note::default()
    };
    let Some(before) = before.filter(|before| !before.clean) else {
        return (note, None);
    };
    let starts = before.unclean.into_iter().chain([before.started]);
    // A clock that was set back makes starts that are yet to come.
    note.unclean = starts
        .filter(|start| (now - LOOP_SECS..=now).contains(start))
        .collect();
    (note, before.output)
}

/// Writes the file anew: the old or the new one is there, whatever happens.
fn write(path: &Path, note: &Note) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let beside = path.with_extension("json.tmp");
    let mut file = File::create(&beside)?;
    file.write_all(serde_json::to_string(note)?.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(dir: &Path, secs: i64) -> Boot {
        Boot::begin(dir, Time::from_secs(secs))
    }

    #[test]
    fn three_unclean_ends_in_five_minutes_are_a_crash_loop() {
        let dir = tempfile::tempdir().unwrap();
        let loops = |at: i64| begin(dir.path(), at).is_crash_loop();
        assert_eq!([100, 110, 120].map(loops), [false; 3]);
        assert!(loops(130), "three have crashed before this one");
        assert!(loops(140));
        assert!(!loops(421), "of the first five, one was started in time");
    }

    #[test]
    fn a_clean_end_and_a_long_life_begin_anew() {
        let dir = tempfile::tempdir().unwrap();
        for at in 0..3 {
            begin(dir.path(), 100 + at).clean();
        }
        assert!(!begin(dir.path(), 104).is_crash_loop());
        for at in 0..3 {
            begin(dir.path(), 105 + at);
        }
        let careful = begin(dir.path(), 109);
        assert!(careful.is_crash_loop());
        careful.settled();
        assert!(!begin(dir.path(), 110).is_crash_loop());
    }

    #[test]
    fn the_output_that_was_being_started_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let first = begin(dir.path(), 100);
        assert_eq!(first.suspect(), None);
        first.starting(Some("es"));
        let second = begin(dir.path(), 101);
        assert_eq!(second.suspect(), Some("es"));
        second.starting(Some("es"));
        second.starting(None);
        assert_eq!(begin(dir.path(), 102).suspect(), None);
    }

    #[test]
    fn what_is_no_note_is_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "{", "[]", "{\"unclean\":7}", "\u{0}"] {
            fs::write(dir.path().join(FILE_NAME), text).unwrap();
            assert!(!begin(dir.path(), 100).is_crash_loop(), "{text}");
        }
        let future = "{\"started\":9999999999,\"clean\":false,\"unclean\":[9999999999,9999999999]}";
        fs::write(dir.path().join(FILE_NAME), future).unwrap();
        assert!(!begin(dir.path(), 100).is_crash_loop());
    }
}
