//! `weir buffer ls`: one line for each buffer.

use std::io::{IsTerminal, Write};

use clap::Args;
use serde_json::Value;

use super::{
    super::{
        exit,
        places::{PlacesArgs, Store, instant, is_missing, size, table},
    },
    describe, look,
};

/// Arguments of `weir buffer ls`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LsArgs {
    #[command(flatten)]
    places: PlacesArgs,
    /// Print a list in JSON, with what `verify` says
    #[arg(long)]
    json: bool,
}

/// Lists; the number is the exit code.
pub(super) fn run(args: &LsArgs, out: &mut impl Write, err: &mut (impl Write + IsTerminal)) -> u8 {
    let places = match args.places.places(Store::Buffer, err) {
        Ok(places) => places,
        Err(code) => return code,
    };
    let mut rows = Vec::new();
    let mut values = Vec::new();
    let mut code = exit::OK;
    for place in places {
        if args.places.which.is_empty() && is_missing(&place.path) {
            // Its router has not run yet.
            continue;
        }
        let seen = match look(&place, err) {
            Ok(seen) => seen,
            Err(failed) => {
                code = failed;
                continue;
            }
        };
        let held = seen.held();
        rows.push([
            place.name.clone(),
            held.records.to_string(),
            size(held.bytes),
            seen.oldest_ms().map_or_else(|| "-".to_owned(), instant),
            seen.segments.len().to_string(),
            size(seen.segments.iter().map(|view| view.bytes).sum()),
            (seen.damage().count() + seen.missing.len()).to_string(),
            seen.quarantined.len().to_string(),
        ]);
        values.push(describe(&place, &seen));
    }
    let heads = [
        "BUFFER",
        "RECORDS",
        "BYTES",
        "OLDEST",
        "SEGMENTS",
        "ON DISK",
        "DAMAGED",
        "QUARANTINED",
    ];
    let text = if args.json {
        format!("{:#}\n", Value::Array(values))
    } else {
        table(heads, &rows)
    };
    // A closed pipe is no reason to fail.
    drop(out.write_all(text.as_bytes()));
    code
}
