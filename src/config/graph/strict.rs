//! What weakens the first five promises of `docs/PROMISES.md`. Looked for only where somebody asks for it: with `--strict`
//! or `[service] strict`.

use sdk::plugin::{Build, DefaultBuffer};

use crate::config::{
    buffer::{BufferKind, DeadLetterFull, DeadLetterKind, Durability, OverflowAction},
    diagnostic::{Code, Diagnostic},
    draft::{Draft, Head, OutputDraft, StoreDraft, WayDraft},
    keys::StorePolicy,
    schema::Schema,
};

/// Refuses everything that weakens a promise. What was a warning about the same is said once.
pub(super) fn check(draft: &Draft, findings: &mut Vec<Diagnostic>) {
    findings.retain(|finding| finding.code != Code::MemoryBuffer);
    for target in draft.targets() {
        match &target.way {
            WayDraft::Output(output) => {
                buffer(&target.head, output, findings);
                dead_letter(&target.head, output, findings);
            }
            WayDraft::Copy { stores } => {
                for store in stores {
                    forgiven(store, findings);
                }
            }
            WayDraft::Relabel { .. } | WayDraft::Unknown => {}
        }
    }
    for head in draft.heads() {
        parameters(head, findings);
    }
}

/// A finding at `pointer`, as far as it is written.
fn weak(head: &Head, pointer: &str, message: String, promise: &str, help: &str) -> Diagnostic {
    Diagnostic::new(Code::WeakPromise, head.node.place_of(pointer), message)
        .here(promise)
        .help(help)
}

fn buffer(head: &Head, output: &OutputDraft, findings: &mut Vec<Diagnostic>) {
    let (name, buffer) = (head.type_name(), &output.buffer);
    if buffer.kind == BufferKind::Memory {
        findings.push(weak(
            head,
            "/buffer/type",
            format!("output `{name}` buffers in memory"),
            "weakens G1: acknowledged records are lost if the process dies",
            "write type = \"file\" in its `buffer` table, or \"none\" so that senders wait until it took the records",
        ));
    }
    if buffer.kind != BufferKind::File {
        return;
    }
    if buffer.durability != Durability::Commit {
        let value = written(buffer.durability);
        findings.push(weak(
            head,
            "/buffer/durability",
            format!("durability = \"{value}\" acknowledges records before the disk has them"),
            "weakens G1: a power cut loses acknowledged records",
            "remove the line: \"commit\" is the default",
        ));
    }
    let action = buffer.overflow_action;
    let refuses = matches!(
        action,
        OverflowAction::Block | OverflowAction::ThrowException
    );
    if !refuses {
        let value = written(action);
        findings.push(weak(
            head,
            "/buffer/overflow_action",
            format!("overflow_action = \"{value}\" drops acknowledged records"),
            "weakens G5: a full buffer is a reason to drop",
            "remove the line, so that senders wait: \"block\" is the default",
        ));
    }
}

fn dead_letter(head: &Head, output: &OutputDraft, findings: &mut Vec<Diagnostic>) {
    let name = head.type_name();
    let dead = &output.dead_letter;
    // What stays on this machine, and is not kept, refuses nothing.
    let keeps = matches!(
        head.plugin.map(|plugin| plugin.build),
        Some(Build::Output(_, DefaultBuffer::File))
    );
    if dead.kind == DeadLetterKind::None && (keeps || output.buffer.kind == BufferKind::File) {
        findings.push(weak(
            head,
            "/dead_letter/type",
            format!("output `{name}` has no dead letter"),
            "weakens G5: records that the destination refuses are dropped",
            "write type = \"file\" in its `dead_letter` table",
        ));
        let retry = &output.buffer.retry;
        let limits = [
            ("/buffer/retry_max_times", retry.max_times.is_some()),
            ("/buffer/retry_timeout", retry.timeout.is_some()),
        ];
        for (pointer, _) in limits.into_iter().filter(|(_, is_set)| *is_set) {
            let key = pointer.rsplit('/').next().unwrap_or_default();
            findings.push(weak(
                head,
                pointer,
                format!("`{key}` gives up, and there is no dead letter"),
                "weakens G5: records that are tried too often are dropped",
                "remove the limit, or add a dead letter",
            ));
        }
    }
    if dead.kind == DeadLetterKind::File && dead.on_full == DeadLetterFull::Drop {
        findings.push(weak(
            head,
            "/dead_letter/on_full",
            "on_full = \"drop\" drops records when the dead letter is full".to_owned(),
            "weakens G5: a full dead letter is a reason to drop",
            "remove the line, so that they stay in the buffer: \"block\" is the default",
        ));
    }
}

/// What a store of a copy is forgiven.
fn forgiven(store: &StoreDraft, findings: &mut Vec<Diagnostic>) {
    let head = &store.target.head;
    let cases = [
        ("on_error", store.on_error, "it fails"),
        ("on_full", store.on_full, "it is full"),
    ];
    for (key, policy, when) in cases {
        if policy == StorePolicy::Ignore {
            findings.push(weak(
                head,
                &format!("/{key}"),
                format!("{key} = \"ignore\" acknowledges records that this store did not take when {when}"),
                "weakens G2 and G3: the others have them, this one never gets them",
                "remove the line: \"block\" is the default",
            ));
        }
    }
}

/// Parameters of plugins with a value that weakens: `#[schemars(extend("weakens" = VALUE))]` on them.
fn parameters(head: &Head, findings: &mut Vec<Diagnostic>) {
    let Some(plugin) = head.plugin else {
        return;
    };
    let schema = (plugin.schema)();
    for (key, property) in Schema::new(&schema).properties() {
        let Some(weakening) = property.weakens() else {
            continue;
        };
        if head.params.get(key).or(property.default()) == Some(weakening) {
            findings.push(weak(
                head,
                &format!("/{key}"),
                format!("{key} = {weakening} calls records delivered that may not have arrived"),
                "weakens G1 and G3: they are gone from the buffer before the other side has them",
                "remove the line",
            ));
        }
    }
}

/// A value as it is written.
fn written(value: impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}
