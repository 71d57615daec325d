//! Output `file`: files of one JSON object per line, by day or by anything else that the path names.

mod append;
mod layout;
mod lines;
mod location;
mod rotate;
mod symlink;
#[cfg(test)]
mod tests;
mod write;

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use schemars::JsonSchema;
use sdk::{
    Fut, RunError,
    clock::Clock,
    config::{self, ConfigErrors, FormatterTable, Interval, Size, Zone},
    output::{ChunkView, Failure, FailureKind, Outcome, Output},
    plugin::{Build, BuildCx, DefaultBuffer, Descriptor, Stability},
    stop::Stop,
};
use serde::Deserialize;
use tokio::{sync::Notify, task::spawn_blocking};

use layout::Layout;
use write::Files;

/// What the engine knows of this plugin.
pub static PLUGIN: Descriptor = Descriptor {
    name: "file",
    aliases: &[],
    stability: Stability::Stable,
    summary: "Writes files of one JSON object per line",
    schema: || serde_json::to_value(schemars::schema_for!(Config)).unwrap_or_default(),
    build: Build::Output(build, DefaultBuffer::File),
};

/// The parameters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch with a name of Fluentd's"
)]
pub struct Config {
    /// Where the lines go, with placeholders: `./data/%Y-%m-%d.log`, `./data/${tag}/${record.app:-none}.log`. The time
    /// is that of the event. No value leads out of the folder that stands before the first placeholder.
    #[schemars(extend("exclusive" = true))]
    pub path: String,
    /// `json` writes one object per line; `out_file` writes time, tag and record with tabs between them, as Fluentd does.
    /// Or a table with the `type` of a formatter and its parameters.
    #[serde(default)]
    pub format: Formatting,
    /// Format `json`: put the time of the event in the object, in UTC with nanoseconds.
    #[serde(default = "yes")]
    pub include_time_key: bool,
    /// Format `json`: the name of the field with the time. A field of the record with this name gets `_` at its end.
    #[serde(default = "default_time_key")]
    pub time_key: String,
    /// Format `json`: put the tag in the object.
    #[serde(default = "yes")]
    pub include_tag_key: bool,
    /// Format `json`: the name of the field with the tag. A field of the record with this name gets `_` at its end.
    #[serde(default = "default_tag_key")]
    pub tag_key: String,
    /// The zone of `%Y` and so on in `path`, and of the time in format `out_file`.
    #[serde(default = "default_timezone")]
    pub timezone: Zone,
    /// Call a chunk written only when the disk has it (fdatasync).
    #[serde(default = "yes")]
    #[schemars(extend("weakens" = false))]
    pub sync: bool,
    /// Add to files that exist. It cannot be false: a chunk has no file of its own here.
    #[serde(default = "yes")]
    pub append: bool,
    /// `gzip` compresses a file when it is over: its time has passed, or it has reached `rotate_size`.
    #[serde(default)]
    pub compress: Compress,
    /// Start a new file before this one would become larger. The old one gets a number at its end.
    pub rotate_size: Option<Size>,
    /// How long a file must have been quiet after its time, before it is compressed.
    #[serde(default = "default_timekey_wait")]
    pub timekey_wait: Interval,
    /// The permissions of new files, in octal: `"0644"`.
    pub file_permission: Option<String>,
    /// The permissions of new folders, in octal: `"0755"`.
    pub dir_permission: Option<String>,
    /// A symbolic link that always leads to the newest file.
    pub symlink_path: Option<String>,
}

/// How an event is written: in one of two forms of this output, or by a formatter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Formatting {
    /// A form that this output has.
    Own(Format),
    /// A formatter with its parameters.
    Table(FormatterTable),
}

impl Default for Formatting {
    fn default() -> Self {
        Self::Own(Format::default())
    }
}

/// The forms that this output has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// `{"time":"...","tag":"...",...}`
    #[default]
    Json,
    /// `2026-01-02T03:04:05+00:00<TAB>tag<TAB>{...}`
    OutFile,
}

/// What becomes of a file that is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compress {
    /// It stays as it is.
    #[default]
    Text,
    /// It becomes a gzip file.
    Gzip,
}

fn yes() -> bool {
    true
}

fn default_time_key() -> String {
    "time".into()
}

fn default_tag_key() -> String {
    "tag".into()
}

fn default_timezone() -> Zone {
    Zone::LOCAL
}

fn default_timekey_wait() -> Interval {
    Interval::secs(600)
}

/// The longest time between two looks for files that are over.
const SWEEP_EVERY_MAX: Duration = Duration::from_mins(1);
/// The shortest.
const SWEEP_EVERY_MIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct File {
    files: Arc<Files>,
    clock: Clock,
    sweep_every: Duration,
    /// Told when a file was set aside to be compressed.
    set_aside: Arc<Notify>,
}

fn build(params: serde_json::Value, cx: &BuildCx) -> Result<Arc<dyn Output>, ConfigErrors> {
    let config: Config = config::parse(params)?;
    Ok(Arc::new(File::new(&config, cx)?))
}

impl File {
    fn new(config: &Config, cx: &BuildCx) -> Result<Self, ConfigErrors> {
        let layout = Layout::new(config, cx)?;
        Ok(Self {
            clock: cx.clock.clone(),
            sweep_every: config
                .timekey_wait
                .0
                .clamp(SWEEP_EVERY_MIN, SWEEP_EVERY_MAX),
            set_aside: Arc::new(Notify::new()),
            files: Arc::new(layout.assemble(config)),
        })
    }

    /// Compresses what is over until asked to stop.
    async fn sweep_until(&self, stop: &Stop) {
        if !self.files.rotation.compresses() {
            return stop.stopped().await;
        }
        loop {
            let cancelled = Arc::new(AtomicBool::new(false));
            let (files, now) = (Arc::clone(&self.files), self.clock.now());
            let cancel = Arc::clone(&cancelled);
            let sweep = spawn_blocking(move || files.rotation.sweep(&files.appender, now, &cancel));
            tokio::pin!(sweep);
            tokio::select! {
                done = &mut sweep => report(done),
                () = stop.stopped() => {
                    cancelled.store(true, Ordering::Relaxed);
                    return report(sweep.await);
                }
            }
            tokio::select! {
                () = stop.stopped() => return,
                () = self.set_aside.notified() => {}
                () = tokio::time::sleep(self.sweep_every) => {}
            }
        }
    }
}

fn report(done: Result<io::Result<()>, tokio::task::JoinError>) {
    if let Err(error) = done.map_err(io::Error::other).and_then(|done| done) {
        tracing::warn!(%error, "files could not be compressed; tried again later");
    }
}

impl Output for File {
    fn write<'a>(&'a self, chunk: ChunkView<'a>) -> Fut<'a, Outcome> {
        Box::pin(async move {
            let files = Arc::clone(&self.files);
            let (frames, live) = (chunk.frames.to_vec(), chunk.live.cloned());
            let done = spawn_blocking(move || files.write(&frames, live.as_ref())).await;
            match done {
                Ok((outcome, set_aside)) => {
                    if set_aside {
                        self.set_aside.notify_one();
                    }
                    outcome
                }
                Err(error) => {
                    let failure =
                        Failure::new(FailureKind::Panic, format!("writing ended early: {error}"));
                    Outcome::RetryChunk(None, failure)
                }
            }
        })
    }

    fn run(&self, stop: Stop) -> Fut<'_, Result<(), RunError>> {
        Box::pin(async move {
            self.sweep_until(&stop).await;
            Ok(())
        })
    }
}
