//! What an engine is told.

use std::{path::PathBuf, time::Duration};

use crate::{Eol, Globs};

/// What an engine is told. The defaults are those of the input `tail`.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of its own, most with a name of Fluentd's"
)]
pub struct Settings {
    /// Which paths are watched.
    pub globs: Globs,
    /// Where positions are kept.
    pub state_dir: PathBuf,
    /// Files of Fluentd with positions, for paths that have none of ours.
    pub pos_files: Vec<PathBuf>,
    /// How often the paths are listed.
    pub refresh_interval: Duration,
    /// Do not list them when the input starts, only after the first interval.
    pub skip_refresh_on_startup: bool,
    /// How often a file is looked at that has changed lately.
    pub poll_interval: Duration,
    /// The same for one that has not.
    pub idle_poll_interval: Duration,
    /// Where a file without a position is begun that is there when the input starts. One that comes later is always
    /// read from its head.
    pub read_from_head: bool,
    /// Read what rotation has moved away, too, when a path is seen for the first time.
    pub read_rotated: bool,
    /// How long a file is watched for late lines after rotation has moved it away.
    pub rotate_wait: Duration,
    /// Leave out files that were not written to for this long.
    pub limit_recently_modified: Option<Duration>,
    /// Lines of one batch, at most.
    pub read_lines_limit: usize,
    /// Bytes of a file that are read in a second, at most.
    pub read_bytes_limit_per_second: Option<u64>,
    /// Bytes of a file that are read in one turn.
    pub turn_bytes: usize,
    /// Bytes of a line, at most.
    pub max_line_bytes: usize,
    /// What becomes of a longer one.
    pub oversize_action: OversizeAction,
    /// What ends a line.
    pub eol: Eol,
    /// How long lines that belong together may be waited for. `None`: for ever.
    pub flush_interval: Option<Duration>,
    /// Close the live file after each look.
    pub open_on_every_update: bool,
    /// Say once, and not each time, that a file may not be read.
    pub ignore_repeated_permission_error: bool,
    /// Bytes of batches whose receipt has not resolved, at most.
    pub in_flight_bytes: usize,
    /// How often positions are written.
    pub positions_interval: Duration,
    /// What rotation keeps. `None`: it is guessed from the files that are there.
    pub retention: Option<Retention>,
}

/// What becomes of a line that is too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OversizeAction {
    /// It is cut there.
    Truncate,
    /// It is left out.
    Drop,
}

/// What rotation keeps of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Size at which a file is moved away, in bytes.
    pub file_bytes: u64,
    /// Files in all, with the live one.
    pub files: u64,
}

impl Settings {
    /// The defaults for these paths.
    pub fn new(globs: Globs, state_dir: PathBuf) -> Self {
        Self {
            globs,
            state_dir,
            pos_files: Vec::new(),
            refresh_interval: Duration::from_mins(1),
            skip_refresh_on_startup: false,
            poll_interval: Duration::from_millis(200),
            idle_poll_interval: Duration::from_secs(1),
            read_from_head: false,
            read_rotated: false,
            rotate_wait: Duration::from_secs(5),
            limit_recently_modified: None,
            read_lines_limit: 1_000,
            read_bytes_limit_per_second: None,
            turn_bytes: 256 << 10,
            max_line_bytes: 1 << 20,
            oversize_action: OversizeAction::Truncate,
            eol: Eol::Byte,
            flush_interval: None,
            open_on_every_update: false,
            ignore_repeated_permission_error: false,
            in_flight_bytes: 32 << 20,
            positions_interval: Duration::from_secs(1),
            retention: None,
        }
    }

    /// How long the end of a last line is waited for, after rotation has moved the file away.
    pub(crate) fn last_line_wait(&self) -> Duration {
        self.rotate_wait.min(Duration::from_secs(2))
    }
}
