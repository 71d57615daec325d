//! `weir buffer verify`: everything that a buffer says about itself, and whether it is whole.

use std::io::{IsTerminal, Write};

use clap::Args;
use serde_json::Value;

use super::{
    super::{
        exit,
        places::{Place, PlacesArgs, Store, instant, is_missing, size},
    },
    count, describe, look,
};
use crate::buffer::{Inspection, Tally};

/// Arguments of `weir buffer verify`.
#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArgs {
    #[command(flatten)]
    places: PlacesArgs,
    /// Print what was found as JSON
    #[arg(long)]
    json: bool,
}

/// Verifies; the number is the exit code: 0 when everything is whole, 1 when something is damaged.
pub(super) fn run(
    args: &VerifyArgs,
    out: &mut impl Write,
    err: &mut (impl Write + IsTerminal),
) -> u8 {
    let places = match args.places.places(Store::Buffer, err) {
        Ok(places) => places,
        Err(code) => return code,
    };
    let mut values = Vec::new();
    let mut code = exit::OK;
    for place in places {
        if args.places.which.is_empty() && is_missing(&place.path) {
            continue;
        }
        match look(&place, err) {
            Ok(seen) => {
                if !is_whole(&seen) && code == exit::OK {
                    code = exit::FAILED;
                }
                if args.json {
                    let mut value = describe(&place, &seen);
                    if let Some(value) = value.as_object_mut() {
                        value.insert("whole".to_owned(), is_whole(&seen).into());
                    }
                    values.push(value);
                } else {
                    drop(out.write_all(text(&place, &seen).as_bytes()));
                }
            }
            Err(failed) => code = failed,
        }
    }
    if args.json {
        drop(writeln!(out, "{:#}", Value::Array(values)));
    }
    code
}

fn is_whole(seen: &Inspection) -> bool {
    #[cfg(feature = "defects")]
    if crate::telemetry::defects::is_on("verify_ignores_damage") {
        return true;
    }
    seen.damage().next().is_none() && seen.missing.is_empty()
}

/// For people.
fn text(place: &Place, seen: &Inspection) -> String {
    let bytes = seen.segments.iter().map(|view| view.bytes).sum();
    let segments = count(seen.segments.len() as u64, "segment", "segments");
    let mut lines = vec![format!("{}: {segments}, {}", place.name, size(bytes))];
    let mut say = |what: &str, text: String| lines.push(format!("  {what:<10}  {text}"));
    let oldest = seen
        .oldest_ms()
        .map(|ms| format!(", the oldest of {}", instant(ms)));
    say("held", tally(seen.held()) + &oldest.unwrap_or_default());
    say("done", tally(seen.done()));
    if seen.open().frames > 0 {
        let text = tally(seen.open()) + " of messages that are not complete";
        say("incomplete", text);
    }
    for view in seen.segments.iter().filter(|view| view.cut_bytes > 0) {
        let text = format!(
            "{} at the end of {}, of a write that was not acknowledged",
            size(view.cut_bytes),
            view.name
        );
        say("cut off", text);
    }
    for (segment, damage) in seen.damage() {
        let lost = match damage.records {
            Some(0) => "nothing is lost".to_owned(),
            Some(records) => count(records, "record is lost", "records are lost"),
            None => "how many records are lost is not known".to_owned(),
        };
        let copied = if damage.is_copied {
            ", copied into quarantine"
        } else {
            ""
        };
        let place = format!("{segment} at {}, {} bytes", damage.offset, damage.bytes);
        say(
            "damaged",
            format!("{place}: {}; {lost}{copied}", damage.what),
        );
    }
    for segment in &seen.missing {
        say(
            "missing",
            format!("{segment}; how many records are lost with it is not known"),
        );
    }
    if !seen.quarantined.is_empty() {
        let files = count(seen.quarantined.len() as u64, "file", "files");
        say(
            "quarantine",
            format!("{files} in {}", place.path.join("quarantine").display()),
        );
    }
    let places = (seen.damage().count() + seen.missing.len()) as u64;
    lines.push(if is_whole(seen) {
        "  whole".to_owned()
    } else {
        format!("  DAMAGED in {}", count(places, "place", "places"))
    });
    lines.push(String::new());
    lines.join("\n")
}

fn tally(tally: Tally) -> String {
    let records = count(tally.records, "record", "records");
    let frames = count(tally.frames, "frame", "frames");
    format!("{records} in {frames}, {}", size(tally.bytes))
}
