//! Keys of a `buffer` table about chunk keys and their time that say nothing together, or contradict each other.

use sdk::config::ChunkKey;

use crate::config::{
    buffer::{BufferKind, FlushMode, Ordering},
    diagnostic::{Code, Diagnostic},
    draft::OutputDraft,
    tree::Node,
};

/// Keys that only say something about slots of time.
const OF_TIME: [&str; 4] = ["timekey", "timekey_wait", "timekey_use_utc", "timekey_zone"];

/// Looks at the `buffer` table of an output.
pub(super) fn look(keys: &Node, output: &OutputDraft, findings: &mut Vec<Diagnostic>) {
    let mut report = |key: &str, message: String, help: &str| {
        findings.push(Diagnostic::new(Code::BadValue, keys.place(key), message).help(help));
    };
    let (buffer, has) = (&output.buffer, |key: &str| keys.get(key).is_some());
    let chunk_keys = &buffer.chunk_keys;
    let by_time = chunk_keys.contains(&ChunkKey::Time);
    if let Some(key) = twice(chunk_keys) {
        let message = format!("`{key}` is twice in `chunk_keys`");
        report("chunk_keys", message, "remove one of the two");
    }
    match buffer.timekey {
        _ if !by_time => {
            for key in OF_TIME.into_iter().filter(|key| has(key)) {
                let message = format!("`{key}` has no use without \"time\" in `chunk_keys`");
                let help = "remove it, or write chunk_keys = [\"time\"]: outputs fill %Y, %m and %d in per record either way";
                report(key, message, help);
            }
        }
        None => report(
            "chunk_keys",
            "\"time\" in `chunk_keys` needs a `timekey`".to_owned(),
            "write timekey = \"1d\", or remove \"time\": outputs fill %Y, %m and %d in per record either way",
        ),
        Some(timekey) if timekey.0.as_secs() == 0 => report(
            "timekey",
            format!("a `timekey` of {timekey} is too short"),
            "write one second or more",
        ),
        Some(_) => {}
    }
    if has("timekey_use_utc") && has("timekey_zone") {
        let message = "`timekey_use_utc` and `timekey_zone` both say the zone".to_owned();
        report("timekey_use_utc", message, "remove one of the two");
    }
    if buffer.flush_mode == FlushMode::Lazy && !by_time {
        let message = "`lazy` waits for the end of a timekey, and there is none".to_owned();
        let help =
            "write chunk_keys = [\"time\"] and timekey = \"1h\", or flush_mode = \"interval\"";
        report("flush_mode", message, help);
    }
    if buffer.flush_mode != FlushMode::Interval && has("flush_interval") {
        let message = format!(
            "`flush_interval` has no use with {}",
            reason(buffer.flush_mode)
        );
        let help = "remove it, or write flush_mode = \"interval\"";
        report("flush_interval", message, help);
    }
    if buffer.flush_mode == FlushMode::Lazy && buffer.kind == BufferKind::None {
        let message = "senders would wait for the end of a timekey".to_owned();
        let help = "with type = \"none\" write flush_mode = \"interval\"";
        report("type", message, help);
    }
    if buffer.ordering == Ordering::PerChunkKey && chunk_keys.is_empty() {
        let message = "`per_chunk_key` needs `chunk_keys`".to_owned();
        let help = "write chunk_keys = [\"tag\"], or ordering = \"strict\" for one order of all";
        report("ordering", message, help);
    }
}

fn reason(mode: FlushMode) -> &'static str {
    match mode {
        FlushMode::Lazy => "a timekey, whose end a chunk waits for",
        FlushMode::Immediate => "`immediate`",
        FlushMode::Interval => "`interval`",
    }
}

/// A key that is there twice.
fn twice(keys: &[ChunkKey]) -> Option<&ChunkKey> {
    let mut numbered = keys.iter().enumerate();
    let repeated = numbered.find(|(at, key)| keys.iter().take(*at).any(|other| other == *key));
    repeated.map(|(_, key)| key)
}
