//! The parameters.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use sdk::config::{Interval, OneOrMany, ParserTable, Pattern, Size, Zone};
use serde::{Deserialize, Serialize};

/// The parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch with a name of Fluentd's"
)]
pub struct Config {
    /// The tag of the events. `*` becomes the path, with dots for slashes.
    pub tag: String,
    /// The paths, as a list or with `path_delimiter` between them. They may have `*`, `?`, `[a-z]`, `{a,b}`, `**` and
    /// dates such as `%Y-%m-%d`. What rotation has moved away (`app.log.1`, `app.log-20260131.gz`) need not be named: it is
    /// found beside the file, and read where it was not read before.
    pub path: OneOrMany<String>,
    /// What stands between paths in one text.
    #[serde(default = "default_path_delimiter")]
    pub path_delimiter: String,
    /// The zone of dates in `path` and `exclude_path`.
    #[serde(default = "default_path_timezone")]
    pub path_timezone: Zone,
    /// Paths to leave out, with the same wildcards.
    #[serde(default)]
    pub exclude_path: OneOrMany<String>,
    /// What makes records of lines. Without it the line becomes the field `message`.
    #[serde(default = "default_parse")]
    pub parse: ParserTable,
    /// Fluentd's file with positions. It is read where this source has no position of its own yet, and never written: own
    /// positions are kept below `data_dir`.
    pub pos_file: Option<String>,
    /// Fluentd cleans its file that often. Of no use here; accepted.
    pub pos_file_compaction_interval: Option<Interval>,
    /// Read files that are there at the start, and have no position, from their head and not from their end. Files that
    /// come later are always read from their head.
    #[serde(default)]
    pub read_from_head: bool,
    /// Files are always known by their inode, so this is always so; accepted.
    #[serde(default = "yes")]
    pub follow_inodes: bool,
    /// How often the paths are listed.
    #[serde(default = "default_refresh_interval")]
    pub refresh_interval: Interval,
    /// Do not list them at the start, only after `refresh_interval`.
    #[serde(default)]
    pub skip_refresh_on_startup: bool,
    /// Leave out files that were not written to for this long.
    pub limit_recently_modified: Option<Interval>,
    /// How long a file is watched for late lines after it was moved away.
    #[serde(default = "default_rotate_wait")]
    pub rotate_wait: Interval,
    /// How often a file is looked at. One that was quiet for 10 s is looked at once a second at most.
    #[serde(default = "default_poll_interval")]
    pub poll_interval: Interval,
    /// Files are polled, by a timer; without one nothing would be read. It cannot be false.
    #[serde(default = "yes")]
    pub enable_watch_timer: bool,
    /// Fluentd's second way to notice changes. Of no use here; accepted.
    #[serde(default = "yes")]
    pub enable_stat_watcher: bool,
    /// Close the file after each read, so that a file system can be unmounted.
    #[serde(default)]
    pub open_on_every_update: bool,
    /// Lines of one batch, at most.
    #[serde(default = "default_read_lines_limit")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub read_lines_limit: u32,
    /// Bytes of a file that are read in a second, at most; -1 or nothing for as many as come.
    pub read_bytes_limit_per_second: Option<BytesLimit>,
    /// Bytes of a line, at most; of a record, where several lines make one.
    #[serde(default = "default_max_line_size")]
    pub max_line_size: Size,
    /// What becomes of a longer line. It is counted in `tail_oversize_lines`.
    #[serde(default)]
    pub max_line_size_action: OversizeAction,
    /// Where several lines make a record: write it when nothing has come for this long. `0s` waits for the next record.
    #[serde(default = "default_multiline_flush_interval")]
    pub multiline_flush_interval: Interval,
    /// The encoding of the files, by its name on the web: `euc-kr`, `utf-16le`, `shift_jis`. Records are always UTF-8.
    pub from_encoding: Option<String>,
    /// What `from_encoding` is turned into, which is always UTF-8; without `from_encoding`, the encoding of the files.
    pub encoding: Option<String>,
    /// A field for the path.
    pub path_key: Option<String>,
    /// Emit lines that the parser refuses, in the field `unmatched_line`, instead of leaving them out.
    #[serde(default)]
    pub emit_unmatched_lines: bool,
    /// Say once, and not each time, that a file may not be read.
    #[serde(default)]
    pub ignore_repeated_permission_error: bool,
    /// Fluentd reads `[` and `{` in paths only when it is told to. Here they always count; accepted.
    pub glob_policy: Option<String>,
    /// Lines per time for groups of files. What is over the limit stays in the file and is read later.
    pub group: Option<Group>,
}

/// Limits for groups of files.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// What of the path makes a group, by named captures. The default reads `/var/log/containers`: `podname`,
    /// `namespace`, `container`, `docker_id`.
    pub pattern: Option<Pattern>,
    /// The time of a limit.
    #[serde(default = "default_rate_period")]
    pub rate_period: Interval,
    /// The first that matches applies.
    pub rule: Vec<Rule>,
}

/// One limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Captures of the pattern, and what each must match. Files that agree in these share the limit.
    #[serde(default, rename = "match")]
    pub matches: BTreeMap<String, Pattern>,
    /// Lines in `rate_period`; -1 for as many as come.
    #[serde(default = "no_limit")]
    #[schemars(range(min = -1))]
    pub limit: i64,
}

/// A size, or -1 for none.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum BytesLimit {
    /// -1, or a number of bytes.
    Number(i64),
    /// A size with a unit.
    Size(Size),
}

/// What becomes of a line that is too long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OversizeAction {
    /// It is cut.
    #[default]
    Truncate,
    /// It is left out.
    Drop,
}

/// What Fluentd takes by default.
pub(crate) const GROUP_PATTERN: &str = r"^/var/log/containers/(?<podname>[a-z0-9]([-a-z0-9]*[a-z0-9])?(/[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)_(?<namespace>[^_]+)_(?<container>.+)-(?<docker_id>[a-z0-9]{64})\.log$";

fn yes() -> bool {
    true
}

fn no_limit() -> i64 {
    -1
}

fn default_path_delimiter() -> String {
    ",".into()
}

fn default_path_timezone() -> Zone {
    Zone::LOCAL
}

fn default_parse() -> ParserTable {
    ParserTable::of("none")
}

fn default_refresh_interval() -> Interval {
    Interval::secs(60)
}

fn default_rotate_wait() -> Interval {
    Interval::secs(5)
}

fn default_poll_interval() -> Interval {
    Interval::millis(200)
}

fn default_read_lines_limit() -> u32 {
    1_000
}

fn default_max_line_size() -> Size {
    Size::mib(1)
}

fn default_multiline_flush_interval() -> Interval {
    Interval::secs(5)
}

fn default_rate_period() -> Interval {
    Interval::secs(60)
}
