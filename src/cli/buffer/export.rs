//! `weir buffer export`: the records that a buffer holds, into a file or to another router. They stay where they are.

use std::{
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, IsTerminal, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc::{SyncSender, sync_channel},
    thread,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use clap::Args;
use sdk::event::RawEvent;

use super::{
    super::{
        complain, exit,
        places::{PlacesArgs, Store},
        reach::{ReachArgs, To, to},
        tags::tags,
    },
    cat, count, fail, look,
};
use crate::{
    buffer::{BufferError, Held, Inspection},
    cat::Message,
    config::TagPattern,
};

const AFTER_HELP: &str = "\
Examples:
  weir buffer export data/buffer/es --out held.ndjson
  weir buffer export data/buffer/es --to other.example.com:24224

The lines of the file are those of a dead letter, so `weir dead replay held.ndjson --to HOST:PORT` sends them.
The router does not know of an export: it will deliver the records too.

Environment:
  WEIR_SHARED_KEY, WEIR_PASSWORD  the key and the password, when no argument has them";

/// Messages that wait while one is under way.
const MESSAGES_MAX: usize = 4;

/// Arguments of `weir buffer export`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    places: PlacesArgs,
    /// A file to write, which must not exist
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "to",
        required_unless_present = "to"
    )]
    out: Option<PathBuf>,
    /// A router to send to; every message is acknowledged
    #[arg(long, value_name = "HOST:PORT", value_parser = to)]
    to: Option<To>,
    /// Only records with a tag that this pattern matches; may be given more than once
    #[arg(long, value_name = "PATTERN", value_parser = tags)]
    tag: Vec<TagPattern>,
    #[command(flatten)]
    reach: ReachArgs,
}

/// Exports; the number is the exit code.
pub(super) fn run(args: &ExportArgs, err: &mut (impl Write + IsTerminal)) -> u8 {
    let seen = args
        .places
        .place_of_one(Store::Buffer, err)
        .and_then(|place| look(&place, err));
    let seen = match seen {
        Ok(seen) => seen,
        Err(code) => return code,
    };
    match (&args.to, &args.out) {
        (Some(to), _) => send(args, seen, to, err),
        (None, Some(path)) => write(args, &seen, path, err),
        (None, None) => exit::USAGE,
    }
}

fn is_wanted(patterns: &[TagPattern], held: &Held) -> bool {
    let tag = held.frame.tag.as_str();
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(tag))
}

fn send(args: &ExportArgs, seen: Inspection, to: &To, err: &mut impl Write) -> u8 {
    let (sender, messages) = sync_channel(MESSAGES_MAX);
    let patterns = args.tag.clone();
    let reading = thread::spawn(move || read(&seen, &patterns, &sender));
    let sent = args.reach.deliver(to, messages, "buffer export", err);
    let read = reading.join();
    match (sent, read) {
        (Err(code), _) => code,
        (Ok(_), Ok(Err(error))) => fail(&error, err),
        (Ok(_), Err(_)) => exit::BUG,
        (Ok(counts), Ok(Ok(()))) => {
            let records = count(counts.arrived, "record", "records");
            drop(writeln!(
                err,
                "{records} acknowledged by {to}; they are still in the buffer"
            ));
            exit::OK
        }
    }
}

/// Hands over every frame as a message until nobody wants more.
fn read(
    seen: &Inspection,
    patterns: &[TagPattern],
    sender: &SyncSender<Message>,
) -> Result<(), BufferError> {
    seen.each_held(&mut |held| {
        if !is_wanted(patterns, &held) || held.frame.count == 0 {
            return ControlFlow::Continue(());
        }
        let message = Message {
            tag: held.frame.tag,
            events: held.frame.events,
            count: held.frame.count,
        };
        match sender.send(message) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })
}

fn write(args: &ExportArgs, seen: &Inspection, path: &Path, err: &mut impl Write) -> u8 {
    if path.exists() {
        complain(
            err,
            &format!("{} exists", path.display()),
            "name a new file",
        );
        return exit::USAGE;
    }
    // The file has its name when all of it is on disk.
    let fresh = path.with_added_extension("tmp");
    let mut broken = Ok(());
    let written = File::create(&fresh).and_then(|file| {
        let mut out = BufWriter::new(file);
        let mut records = 0;
        broken = seen.each_held(&mut |held| {
            if !is_wanted(&args.tag, &held) {
                return ControlFlow::Continue(());
            }
            for (index, event) in (0..).zip(held.frame.entries().map_while(Result::ok)) {
                let line = line(seen.id.unwrap_or_default(), &held, index, &event);
                if out.write_all(&line).is_err() {
                    return ControlFlow::Break(());
                }
                records += 1;
            }
            ControlFlow::Continue(())
        });
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok(records)
    });
    let done = written.and_then(|records| fs::rename(&fresh, path).map(|()| records));
    match (done, broken) {
        (Ok(records), Ok(())) => {
            let records = count(records, "record", "records");
            drop(writeln!(
                err,
                "{records} written to {}; they are still in the buffer",
                path.display()
            ));
            exit::OK
        }
        (Ok(_), Err(error)) => fail(&error, err),
        (Err(error), _) => {
            drop(fs::remove_file(&fresh));
            let help = match error.kind() {
                ErrorKind::StorageFull => "name a file on a volume with more room",
                _ => "name a file that can be written",
            };
            complain(err, &format!("write {}: {error}", path.display()), help);
            exit::IO
        }
    }
}

/// The line of `cat`, with the entry for replaying it.
fn line(buffer: u128, held: &Held, index: u32, event: &RawEvent<'_>) -> Vec<u8> {
    let mut out = cat::line(buffer, held, index, event);
    out.truncate(out.len().saturating_sub(2));
    out.extend_from_slice(format!(",\"entry\":\"{}\"}}\n", BASE64.encode(event.entry)).as_bytes());
    out
}
