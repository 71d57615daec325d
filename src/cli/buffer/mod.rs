//! `weir buffer`: looking at what a buffer holds, of a router that is stopped or running. Nothing is locked or changed.

mod cat;
mod export;
mod ls;
mod verify;

use std::io::{IsTerminal, Write};

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    complain, exit,
    places::{Place, instant},
};
use crate::buffer::{BufferError, Inspection, Tally};

/// What to do with buffers.
#[derive(Debug, Subcommand)]
pub(super) enum BufferCommand {
    /// List buffers: records, bytes, the oldest record, and what is damaged
    Ls(ls::LsArgs),
    /// Print the records that a buffer holds
    Cat(cat::CatArgs),
    /// Read everything, and say what is held, done and damaged; ends with 1 when something is damaged
    Verify(verify::VerifyArgs),
    /// Write the records that a buffer holds into a file or to another router, without taking them away
    Export(Box<export::ExportArgs>),
}

/// Runs the command; the number is the exit code.
pub(super) fn run(
    command: &BufferCommand,
    out: &mut impl Write,
    err: &mut (impl Write + IsTerminal),
) -> u8 {
    match command {
        BufferCommand::Ls(args) => ls::run(args, out, err),
        BufferCommand::Cat(args) => cat::run(args, out, err),
        BufferCommand::Verify(args) => verify::run(args, out, err),
        BufferCommand::Export(args) => export::run(args, err),
    }
}

/// Looks at a directory. What is wrong is said to `err`.
///
/// # Errors
/// The exit code.
fn look(place: &Place, err: &mut impl Write) -> Result<Inspection, u8> {
    Inspection::look(&place.path).map_err(|error| fail(&error, err))
}

/// Says why a buffer cannot be looked at; the number is the exit code.
fn fail(error: &BufferError, err: &mut impl Write) -> u8 {
    let help = match error {
        BufferError::NotABuffer { .. } => {
            "name the directory of one output, which is `buffer/ID` below `data_dir` by default"
        }
        BufferError::Newer { .. } => "look at it with the version that wrote it",
        _ => "does it exist, and may this user read it?",
    };
    complain(err, &error.to_string(), help);
    exit::IO
}

/// What is in a buffer, for machines.
fn describe(place: &Place, seen: &Inspection) -> Value {
    let tally = |tally: Tally| json!({ "frames": tally.frames, "records": tally.records, "bytes": tally.bytes });
    let damage: Vec<Value> = seen
        .damage()
        .map(|(segment, damage)| {
            json!({
                "segment": segment,
                "offset": damage.offset,
                "bytes": damage.bytes,
                "what": damage.what,
                "records_lost": damage.records,
                "copied": damage.is_copied,
            })
        })
        .collect();
    json!({
        "buffer": place.name,
        "path": place.path,
        "id": seen.id.map(|id| format!("{id:032x}")),
        "segments": seen.segments.len(),
        "bytes": seen.segments.iter().map(|view| view.bytes).sum::<u64>(),
        "held": tally(seen.held()),
        "done": tally(seen.done()),
        "incomplete": tally(seen.open()),
        "oldest": seen.oldest_ms().map(instant),
        "cut_bytes": seen.segments.iter().map(|view| view.cut_bytes).sum::<u64>(),
        "damage": damage,
        "missing": seen.missing,
        "quarantined": seen.quarantined,
    })
}

/// One of something, or more.
fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
