//! Keys that somebody writes who comes from Fluentd, and what stands for them here.

use super::{Code, Diagnostic, Node};

/// Keys that Fluentd writes with an @.
const WITH_AT: [(&str, &str); 3] = [("@type", "type"), ("@id", "id"), ("@label", "label")];

/// Fluentd's keys that have no use or another form here. The first half is what to write or to know instead.
const HINTS: &[(&str, &str)] = &[
    (
        "label",
        "a filter or match is in a label by its place: [[label.NAME.match]]; type = \"relabel\" sends there",
    ),
    ("store", "stores belong to type = \"copy\""),
    (
        "flush_thread_interval",
        "remove it: a chunk is sent as soon as it is due",
    ),
    (
        "flush_thread_burst_interval",
        "remove it: a chunk is sent as soon as it is due",
    ),
    (
        "queued_chunks_limit_size",
        "remove it: total_limit_size is the only limit",
    ),
    (
        "queue_limit_length",
        "remove it: total_limit_size is the only limit",
    ),
    (
        "retry_type",
        "for `periodic` write retry_exponential_backoff_base = 1.0",
    ),
    (
        "disable_chunk_backup",
        "write dead_letter.type = \"none\" to drop refused records",
    ),
    ("buffer_type", "write buffer.type"),
    ("buffer_path", "write buffer.path"),
    ("buffer_chunk_limit", "write buffer.chunk_limit_size"),
    ("buffer_queue_limit", "write buffer.total_limit_size"),
    ("buffer_queue_full_action", "write buffer.overflow_action"),
    ("num_threads", "write buffer.flush_thread_count"),
    ("disable_retry_limit", "write buffer.retry_forever"),
    ("retry_limit", "write buffer.retry_max_times"),
    ("max_retry_wait", "write buffer.retry_max_interval"),
    (
        "time_slice_format",
        "write buffer.timekey, such as \"1d\" for %Y%m%d, and \"time\" in buffer.chunk_keys",
    ),
    (
        "worker",
        "remove it: one process uses all CPUs; see [service] workers",
    ),
];

/// What to do about a key; `has` says whether this table has another.
pub(super) fn hint(key: &str, has: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(plain) = key.strip_prefix('@') {
        return Some(if has(plain) {
            format!("write `{plain}`: keys have no @ here")
        } else {
            format!("keys have no @ here, and there is no `{plain}`")
        });
    }
    let (_, hint) = HINTS.iter().find(|(name, _)| *name == key)?;
    Some((*hint).to_owned())
}

/// Reads on as if a key were written without the @ of Fluentd.
pub(in crate::config) fn without_at(node: &mut Node, findings: &mut Vec<Diagnostic>) {
    for (fluentd, plain) in WITH_AT {
        if node.get(plain).is_some() {
            continue;
        }
        for entry in node.entries_mut() {
            if entry.key == fluentd {
                let message = format!("`{fluentd}` is written `{plain}` here");
                let span = entry.key_span.clone();
                let finding = Diagnostic::new(Code::UnknownKey, span, message);
                let help = "write it without the @ and without quotes";
                findings.push(finding.help(help));
                plain.clone_into(&mut entry.key);
            }
        }
    }
}
