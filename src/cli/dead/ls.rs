//! `weir dead ls`: for each output and reason one line.

use std::{
    collections::BTreeMap,
    io::{IsTerminal, Write},
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    super::{
        exit,
        places::{PlacesArgs, Store, size, table},
    },
    bad, fail, files,
};
use crate::buffer::{DeadLine, dead_lines};

/// Characters of a message in the list.
const MESSAGE_MAX: usize = 60;

/// Arguments of `weir dead ls`.
#[derive(Debug, Args)]
pub(in crate::cli) struct LsArgs {
    #[command(flatten)]
    places: PlacesArgs,
    /// Print a list in JSON
    #[arg(long)]
    json: bool,
}

/// What there is of one reason.
#[derive(Debug, Default)]
struct Reason {
    records: u64,
    bytes: u64,
    oldest: String,
    message: String,
}

impl Reason {
    fn add(&mut self, line: &DeadLine) {
        if self.records == 0 {
            self.message.clone_from(&line.message);
        }
        self.records += 1;
        self.bytes += line.text.len() as u64 + 1;
        if self.oldest.is_empty() || line.failed_at < self.oldest {
            self.oldest.clone_from(&line.failed_at);
        }
    }
}

/// Lists; the number is the exit code.
pub(super) fn run(args: &LsArgs, out: &mut impl Write, err: &mut (impl Write + IsTerminal)) -> u8 {
    let places = match args.places.places(Store::DeadLetter, err) {
        Ok(places) => places,
        Err(code) => return code,
    };
    let is_named = !args.places.which.is_empty();
    let mut rows = Vec::new();
    let mut values = Vec::new();
    let mut code = exit::OK;
    for place in places {
        let reasons = files(&place, is_named, err).and_then(|files| reasons(&files, err));
        let (reasons, is_good) = match reasons {
            Ok(found) => found,
            Err(failed) => {
                code = failed;
                continue;
            }
        };
        if !is_good {
            code = exit::FAILED;
        }
        for (kind, reason) in reasons {
            values.push(json!({
                "dead_letter": place.name, "path": place.path, "kind": kind, "records": reason.records,
                "bytes": reason.bytes, "oldest": reason.oldest, "message": reason.message,
            }));
            let message: String = reason.message.chars().take(MESSAGE_MAX).collect();
            rows.push([
                place.name.clone(),
                kind,
                reason.records.to_string(),
                size(reason.bytes),
                reason.oldest,
                message.escape_debug().to_string(),
            ]);
        }
    }
    let heads = [
        "DEAD LETTER",
        "REASON",
        "RECORDS",
        "BYTES",
        "OLDEST",
        "THE FIRST SAYS",
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

/// By reason, and whether every line could be read.
fn reasons(
    files: &[std::path::PathBuf],
    err: &mut impl Write,
) -> Result<(BTreeMap<String, Reason>, bool), u8> {
    let mut reasons: BTreeMap<String, Reason> = BTreeMap::new();
    let mut is_good = true;
    for path in files {
        for line in dead_lines(path).map_err(|error| fail(&error, err))? {
            match line {
                Ok(line) => reasons.entry(line.kind.clone()).or_default().add(&line),
                Err(error) => {
                    bad(&error, err);
                    is_good = false;
                }
            }
        }
    }
    Ok((reasons, is_good))
}
